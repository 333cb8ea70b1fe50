"""Turns of the loop for connections with more at hand than one read may cost: each a little, all together a bounded time.

Without it, one connection that pipelines, or sends tiny chunks, would be served for as long as its bytes last while all
others wait. Whoever has work asks for a turn; between two rounds the loop looks at its sockets. Clients and services share
the rounds of a loop: what counts is what all others feel.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final, Protocol
from weakref import WeakKeyDictionary

# Seconds of one round, after which the loop sees to everybody else. A step may be under way when they are over.
ROUND: Final = 0.002

# Bytes of a read after which its connection is not read again before its turn, and the seconds that another such read is
# taken to cost: copying 256 KiB, and the kernel's work for them.
LONG_READ: Final = 65536
READ_COST: Final = 0.0002

# Small reads that are parsed at once between two rounds, and nobody takes their time: nearly every request. They count as
# half a round.
SMALL_READS: Final = 16

# Seconds that closing is taken to cost where the other end still sends: the kernel throws some MiB away.
CLOSE_COST: Final = 0.0005


class Worker(Protocol):
    """What has work to do in steps."""

    queued: bool
    """Kept here: whether it is in line already."""

    def step(self) -> None:
        """Do one step, and ask again if there is more."""
        ...


class Turns:
    """The line of those that have asked, first in, first out."""

    __slots__ = ("_line", "_loop", "_scheduled", "_small", "_spent", "now", "steps")

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float] = perf_counter) -> None:
        """Nobody has asked; ``now`` gives seconds."""
        self._loop = loop
        self.now = now
        self._line: deque[Worker] = deque()
        self._scheduled = False
        self.steps = 0  # of the last round
        self._spent = 0.0
        self._small = 0

    def small(self) -> bool:
        """Tell whether a small read may be parsed at once without being timed, and count it."""
        if self._small == SMALL_READS:
            return False
        self._small += 1
        if self._small == SMALL_READS:
            self.spend(ROUND / 2)
        return True

    def room(self) -> bool:
        """Tell whether this turn of the loop has time left for work at once."""
        return self._spent < ROUND

    def did(self, begun: float) -> None:
        """Count work that was done at once since ``begun``: the next round is as much shorter."""
        self._spent += self.now() - begun
        self._schedule()

    def spend(self, seconds: float) -> None:
        """Count ``seconds`` for what a step has begun and the loop does later: a task, a read."""
        self._spent += seconds
        self._schedule()

    def ask(self, worker: Worker) -> None:
        """Give ``worker`` a step in one of the next rounds."""
        if not worker.queued:
            worker.queued = True
            self._line.append(worker)
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._round)

    def _round(self) -> None:
        begun = self.now()
        line = self._line
        self.steps = 0
        self._spent = min(self._spent, ROUND / 2)  # whatever was done at once: the line moves
        try:
            while line:
                worker = line.popleft()
                worker.queued = False
                self.steps += 1
                worker.step()
                if self.now() - begun + self._spent >= ROUND:
                    break
        finally:  # a step that raises ends its own connection's turn, and nobody else's
            self._spent = 0.0
            self._small = 0
            self._scheduled = False
            if line:
                self._schedule()

    def __repr__(self) -> str:
        """Show how many are in line."""
        return f"<Turns {len(self._line)} in line>"


_of_loops: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Turns]] = WeakKeyDictionary()


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    """Return the one line of ``loop``."""
    turns = _of_loops.get(loop)
    if turns is None:
        turns = _of_loops[loop] = Turns(loop)
    return turns
