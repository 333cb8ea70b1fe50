"""The switch that stops a scripted service, as SIGSTOP stops a process, and lets it go on."""

import asyncio
from typing import Final, Literal, get_args

Stops = Literal["answering", "reading", "accepting"]
"""What a frozen service no longer does. Who does not read does not answer, and who does not accept does neither."""

_ORDER: Final[tuple[str, ...]] = get_args(Stops)


class Freeze:
    """Holds back what a service does, from the moment it is frozen until it is thawed."""

    __slots__ = ("_changed", "_depth")

    def __init__(self) -> None:
        """Hold back nothing yet."""
        self._depth = 0
        self._changed = asyncio.Event()

    @property
    def reading(self) -> bool:
        """Tell whether requests are read."""
        return self._depth < 2

    def begin(self, stops: str) -> None:
        """Hold back ``stops`` from now on. Raises ValueError for what it cannot hold back."""
        if stops not in _ORDER:
            raise ValueError(f"freeze(stops={stops!r}): use {', '.join(map(repr, _ORDER))}")
        changed, self._changed = self._changed, asyncio.Event()
        self._depth = _ORDER.index(stops) + 1
        changed.set()  # who waits for what is not held back any more goes on

    def end(self) -> None:
        """Let all that waits go on, in the order in which it began to wait."""
        self._depth = 0
        self._changed.set()

    async def until_answers(self) -> None:
        """Return once requests are answered."""
        while self._depth:
            await self._changed.wait()

    async def until_reads(self) -> None:
        """Return once requests are read."""
        while self._depth > 1:
            await self._changed.wait()

    async def until_accepts(self) -> None:
        """Return once connections are accepted."""
        while self._depth > 2:
            await self._changed.wait()

    def __repr__(self) -> str:
        """Show what is held back."""
        return f"<Freeze, not {_ORDER[self._depth - 1]}>" if self._depth else "<Freeze, thawed>"
