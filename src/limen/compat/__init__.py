"""Gateways that are declared in the form of the article: ``route`` with its twelve parameters, on Limen."""

from limen.compat.decorator import route

__all__ = ["route"]
