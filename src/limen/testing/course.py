"""The scripts of a target, one for each request, in their order."""

from collections.abc import Iterable, Iterator
from typing import cast

from limen.testing.conversation import Script


class Course:
    """Scripts one after the other, of which the last stays. Endless ones are taken as they are needed."""

    __slots__ = ("_current", "_rest")

    def __init__(self, scripts: Iterable[Script | Iterable[Script]]) -> None:
        """``scripts`` are scripts, and iterables of scripts. Raises ValueError if there is none, and TypeError."""
        self._rest = _flat(scripts)
        first = next(self._rest, None)
        if first is None:
            raise ValueError("behave(): give at least one script, such as saying(answer('hello'))")
        self._current = first

    def peek(self) -> Script:
        """Return the script of the next request."""
        return self._current

    def take(self) -> Script:
        """Return the script of this request, and go on to the next."""
        taken = self._current
        self._current = next(self._rest, taken)
        return taken


def _flat(scripts: Iterable[object]) -> Iterator[Script]:
    for one in scripts:
        if callable(one):
            yield cast("Script", one)
        elif isinstance(one, Iterable) and not isinstance(one, bytes | str):
            yield from _flat(cast("Iterable[object]", one))
        else:
            raise TypeError(
                f"behave({one!r}): this is no script; an answer is said by one, as in saying(answer('hello'))"
            )
