"""A mistake in a declaration: what is wrong, and how to mend it."""

from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


class Mistake(Exception):
    """One parameter cannot be what it is; the text names the parameter and says what to write instead."""


class Mistakes:
    """The mistakes of one route, so that all of them are told at once."""

    def __init__(self) -> None:
        """Begin with none."""
        self.found: list[str] = []

    def collect(self, make: Callable[..., Made], *arguments: object) -> Made | None:
        """Return ``make(*arguments)``; None if it raises Mistake, which is kept."""
        try:
            return make(*arguments)
        except Mistake as mistake:
            self.found.append(str(mistake))
            return None
