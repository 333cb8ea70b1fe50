"""Deadlines without a timer per request: one timer per loop looks at all of them, a few times a second.

Owners with the same patience stand in one line in the order in which they were set, so that a look costs what it finds.
"""

import asyncio
from typing import Final, Protocol

# Seconds between looks, and so how late a deadline may be.
TICK: Final = 0.05

# Seconds within which a loop has looked at its sockets once more; 0 would not let uvloop look.
_TURN: Final = 0.001


class Owner(Protocol):
    """What waits for something."""

    def expired(self) -> None:
        """Its time has passed."""
        ...


class Timers:
    """The deadlines of one loop, one for each owner."""

    __slots__ = ("_lines", "_loop", "_place", "_ticking")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing runs while nobody waits."""
        self._loop = loop
        self._lines: dict[float, dict[Owner, float]] = {}
        self._place: dict[Owner, dict[Owner, float]] = {}
        self._ticking = False

    def set(self, owner: Owner, seconds: float) -> None:
        """Give ``owner`` ``seconds`` from now, in place of what it had."""
        place = self._place.pop(owner, None)
        if place is not None:
            del place[owner]
        line = self._lines.get(seconds)
        if line is None:
            line = self._lines[seconds] = {}
        line[owner] = self._loop.time() + seconds
        self._place[owner] = line
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(TICK, self._tick)

    def clear(self, owner: Owner) -> None:
        """Let ``owner`` wait no more."""
        place = self._place.pop(owner, None)
        if place is not None:
            del place[owner]

    def _tick(self) -> None:
        now = self._loop.time()
        late: list[tuple[Owner, float]] = []
        for line in self._lines.values():
            for owner, deadline in line.items():
                if deadline > now:
                    break
                late.append((owner, deadline))
        if late:
            # What came while the loop was held up came in time: let it be read first.
            self._loop.call_later(_TURN, self._end, late)
        self._lines = {seconds: line for seconds, line in self._lines.items() if line}
        if self._place:
            self._loop.call_later(TICK, self._tick)
        else:
            self._ticking = False

    def _end(self, late: list[tuple[Owner, float]]) -> None:
        for owner, deadline in late:
            place = self._place.get(owner)
            if place is not None and place[owner] == deadline:
                self.clear(owner)
                owner.expired()

    def __repr__(self) -> str:
        """Show how many wait."""
        return f"<Timers {len(self._place)} waiting>"
