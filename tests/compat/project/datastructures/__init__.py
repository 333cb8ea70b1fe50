"""The models of the project."""
