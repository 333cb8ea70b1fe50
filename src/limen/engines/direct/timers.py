"""Deadlines without a timer per request: one timer per loop looks at those that are due, a few times a second.

A connection has a ``Timer`` for each thing that may be waited for, and keeps it. Deadlines move with every request, nearly
always to a later time: then only a number changes, and the look that was due anyhow finds that out and is put off.
"""

import asyncio
import math
from typing import Final, Protocol

# Seconds between looks, and so how late a deadline may be; and the same where milliseconds matter.
TICK: Final = 0.05
FINE_TICK: Final = 0.01

# Seconds within which a loop has looked at its sockets once more; 0 would not let uvloop look.
_TURN: Final = 0.001


class Owner(Protocol):
    """What waits for something."""

    def expired(self) -> None:
        """Its time has passed."""
        ...


class Timer:
    """One deadline, or none."""

    __slots__ = ("deadline", "least", "look", "owner", "set_at", "timers")

    def __init__(self, timers: "Timers") -> None:
        """Nobody waits."""
        self.timers = timers
        self.owner: Owner | None = None
        self.deadline = 0.0
        self.set_at = 0.0  # when it was set last
        self.look: dict[Timer, None] | None = None  # the one in which this timer is looked at
        self.least = math.inf  # the least deadline that this look serves in time

    def set(self, owner: Owner, seconds: float) -> None:
        """Give ``owner`` ``seconds`` from now, in place of whatever was waited for."""
        self.owner = owner
        self.set_at = now = self.timers.now()
        self.deadline = deadline = now + seconds
        if deadline < self.least:
            self.timers.plan(self)

    def set_as_of(self, at: float, owner: Owner, seconds: float) -> None:
        """Give ``owner`` ``seconds`` from ``at``, which was just now: to ask the loop costs more than all the rest."""
        self.owner = owner
        self.set_at = at
        self.deadline = deadline = at + seconds
        if deadline < self.least:
            self.timers.plan(self)

    def clear(self) -> None:
        """Wait no more. The look that is due will find nobody."""
        self.owner = None

    def drop(self) -> None:
        """Wait no more, and need no look: the connection has ended."""
        self.owner = None
        self.least = math.inf
        look, self.look = self.look, None
        if look is not None:
            del look[self]

    def passed(self, deadline: float) -> None:
        """Tell the owner, unless what it waited for has come since."""
        owner = self.owner
        if owner is not None and self.deadline == deadline:
            self.owner = None
            owner.expired()

    def __repr__(self) -> str:
        """Show what waits."""
        return f"<Timer {self.owner!r}>"


class Timers:
    """The looks of one loop, every ``tick`` seconds. Each has the number of the tick in which it happens."""

    __slots__ = ("_looks", "_loop", "_tick_seconds", "_ticked", "_ticking")

    def __init__(self, loop: asyncio.AbstractEventLoop, tick: float = TICK) -> None:
        """Nothing runs while nobody waits."""
        self._loop = loop
        self._tick_seconds = tick
        self._looks: dict[int, dict[Timer, None]] = {}
        self._ticked = 0
        self._ticking = False

    def now(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    def plan(self, timer: Timer) -> None:
        """Look at ``timer`` in the first tick after its deadline, and in no other."""
        if timer.look is not None:
            del timer.look[timer]
        before = int(timer.deadline / self._tick_seconds)
        timer.least = before * self._tick_seconds
        timer.look = self._looks.setdefault(before + 1, {})
        timer.look[timer] = None
        if not self._ticking:
            self._ticking = True
            self._ticked = int(self.now() / self._tick_seconds)
            self._loop.call_later(self._tick_seconds, self._tick)

    def _tick(self) -> None:
        now = self.now()
        ticked = int(now / self._tick_seconds)
        for tick in range(self._ticked + 1, ticked + 1):
            for timer in self._looks.pop(tick, ()):
                timer.look = None
                timer.least = math.inf
                if timer.owner is None:
                    continue
                if timer.deadline > now:
                    self.plan(timer)
                else:
                    # What came while the loop was held up came in time: let it be read first.
                    self._loop.call_later(_TURN, timer.passed, timer.deadline)
        self._ticked = ticked
        if self._looks:
            self._loop.call_later(self._tick_seconds, self._tick)
        else:
            self._ticking = False

    def __repr__(self) -> str:
        """Show how many wait."""
        waiting = sum(timer.owner is not None for look in self._looks.values() for timer in look)
        return f"<Timers {waiting} waiting>"
