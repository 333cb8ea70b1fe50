"""Time that a test moves: of the gateway, of the services in its process, and of the event loop with all its timers.

By itself the clock runs for a quarter of a second after each move, so that what takes milliseconds works as ever: the
gateway's short rests, ``asyncio.sleep(0.01)``. Then it stands still, however slow the machine is: no timeout of a second or
more passes unless the test says so. Who waits for such a time and forgot to move the clock gets it in real time, after five
seconds.

Timers that the loop had before keep to real time: those of the test runner must not pass with the test's.
"""

import asyncio
import heapq
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic, time
from typing import Any, Final

RUNS: Final = 0.25
"""Seconds for which the clock runs after each move."""

STANDS: Final = 5.0
"""Seconds of real time after which a clock that was not moved runs on."""

_TURNS: Final = 10_000  # of the loop, in which everything that can happen at one time has happened


class Clock:
    """The time of one gateway under test, for ``limen.testing.serving(app, clock=...)``."""

    def __init__(self, now: float | None = None) -> None:
        """Begin at ``now``, in seconds since the epoch, by default the present."""
        self._started = time() if now is None else now
        self._moved = 0.0  # seconds from the begin to the last move
        self._jumped = 0.0  # seconds of them that did not pass by themselves
        self._at = monotonic()  # real, of the last move
        self._began = self._at
        self._loop: Any = None
        self._foreign: list[asyncio.TimerHandle] = []

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._started + self.monotonic() - self._began

    def monotonic(self) -> float:
        """Return seconds of a clock that only goes forward, as ``loop.time()`` does."""
        real = monotonic() - self._at
        return self._began + self._moved + (real if real < RUNS else max(RUNS, real - STANDS + RUNS))

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass: what is due within them happens in its order, and what follows from it at once.

        Call it in the event loop of the gateway; from elsewhere that is ``client.portal.call(clock.advance, 60)``. The
        gateway looks at its deadlines every 50 ms, as it always does: to let one pass, move the clock a little further. Work
        in threads takes real time, for which this does not wait. Raises ValueError for a time that would go back.
        """
        if seconds < 0:
            raise ValueError(f"advance({seconds}): time does not go back")
        if self._loop is None or self._loop is not asyncio.get_running_loop():
            raise RuntimeError("this clock moves no gateway in this event loop; give it to serving(app, clock=clock)")
        until = self.monotonic() + seconds
        while True:
            await self._settle()
            due = min((handle.when() for handle in self._timers()), default=until)
            if due >= until:
                break
            self._move_to(due)
        self._move_to(until)
        await self._settle()

    @contextmanager
    def controlling(self, loop: asyncio.AbstractEventLoop) -> Generator[None]:
        """Be the time of ``loop``. Raises TypeError for a loop that brings its own, as uvloop does."""
        if not isinstance(loop, asyncio.BaseEventLoop):
            raise TypeError(
                f"{type(loop).__module__} keeps its own time, which nothing can move; run this test in an event loop of "
                "asyncio's own"
            )
        if self._loop is not None:
            raise RuntimeError("this clock is in use; one clock is for one gateway")
        self._loop = loop
        self._foreign = self._scheduled()
        # What passes before the first move was not moved: timers of before stay where they are.
        self._began = self._at = monotonic()
        self._moved = self._jumped = 0.0
        vars(loop)["time"] = self.monotonic
        try:
            yield
        finally:
            ahead = self.monotonic() - monotonic()
            timers = self._timers()
            del vars(loop)["time"]
            self._shift(timers, -ahead)
            self._shift(self._foreign, -self._jumped)
            self._loop = None
            self._foreign = []

    def _scheduled(self) -> list[asyncio.TimerHandle]:
        return list(self._heap())

    def _heap(self) -> list[asyncio.TimerHandle]:
        loop: Any = self._loop
        heap: list[asyncio.TimerHandle] = loop._scheduled
        return heap

    def _timers(self) -> list[asyncio.TimerHandle]:
        """Return those that keep this time."""
        foreign = set(map(id, self._foreign))
        return [one for one in self._scheduled() if not one.cancelled() and id(one) not in foreign]

    def _move_to(self, when: float) -> None:
        before = self.monotonic()
        when = max(when, before)
        self._at = monotonic()
        self._moved = when - self._began
        self._jumped += when - before
        self._shift(self._foreign, when - before)

    def _shift(self, handles: list[asyncio.TimerHandle], seconds: float) -> None:
        for handle in handles:
            timer: Any = handle
            timer._when += seconds
        heapq.heapify(self._heap())

    async def _settle(self) -> None:
        """Let everything happen that can happen now."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if not self._loop._ready and not self._is_due():
                return
        raise RuntimeError(f"advance: after {_TURNS} turns of the event loop something still runs without waiting")

    def _is_due(self) -> bool:
        now = self.monotonic()
        return any(handle.when() <= now for handle in self._timers())

    def __repr__(self) -> str:
        """Show how much time has passed."""
        return f"<Clock {self.monotonic() - self._began:.3f} s after its begin>"
