"""The command line."""

from limen.cli.main import main

__all__ = ["main"]
