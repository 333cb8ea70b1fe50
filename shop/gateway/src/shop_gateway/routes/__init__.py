"""The public routes, by capability."""
