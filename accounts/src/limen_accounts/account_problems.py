"""Refusals that several routes of accounts share."""

from typing import TypeVar

from limen_kit.problems import Problem

T = TypeVar("T")


def forbidden() -> Problem:
    """Return the answer to whoever may not call a route."""
    return Problem(403, "forbidden", "You are not allowed to access this scope.")


def user_not_found() -> Problem:
    """Return the answer to an id that no account has."""
    return Problem(404, "not_found", "User not found with this id.")


def found(what: T | None) -> T:
    """Return what a store has found of an account; raises Problem for None."""
    if what is None:
        raise user_not_found()
    return what
