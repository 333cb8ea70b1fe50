"""The public routes, one module per service behind."""
