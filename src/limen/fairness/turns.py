"""Turns of the loop for connections with more at hand than one read may cost: each a little, all together a bounded time.

Without it, one connection that pipelines, or sends tiny chunks, would be served for as long as its bytes last while all
others wait. Whoever has work asks for a turn; between two rounds the loop looks at its sockets. Clients and services share
the rounds of a loop: what counts is what all others feel.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from limen.fairness.line import Line

# Seconds of one round, after which the loop sees to everybody else. A step may be under way when they are over.
ROUND: Final = 0.002

# Bytes of a read after which its connection is not read again before its turn, and the seconds that another such read is
# taken to cost: copying 256 KiB, and the kernel's work for them.
LONG_READ: Final = 65536
READ_COST: Final = 0.0002

# Small reads that are parsed at once between two rounds, and nobody takes their time: nearly every request. They count as
# half a round.
SMALL_READS: Final = 24

# Seconds that the first step of a task is taken to cost as long as none has been seen, and by what part of the difference
# what is expected rises with one that costs more, and falls with one that costs less.
TASK_COST: Final = 0.0005
_RISES: Final = 2
_FALLS: Final = 16

# Rounds that light work may be behind the other, and get back.
_OWED: Final = 4

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
    """Those that have asked, in two lines: light work, and all other. In each, networks of clients take turns.

    Light is one small request. It has half of the time where both lines have work: so it waits for other light work alone,
    and not for each of a hundred connections that pipeline.
    """

    __slots__ = (
        "_ahead",
        "_began",
        "_heavy",
        "_light",
        "_loop",
        "_scheduled",
        "_small",
        "_spent",
        "now",
        "steps",
        "task_cost",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float] = perf_counter) -> None:
        """Nobody has asked; ``now`` gives seconds."""
        self._loop = loop
        self.now = now
        self._light: Line[Worker] = Line()
        self._heavy: Line[Worker] = Line()
        self._ahead = 0.0  # seconds that light work has had more than the other, where both were there
        self._scheduled = False
        self.steps = 0  # of the last round
        self._spent = 0.0
        self._small = 0
        self.task_cost = TASK_COST  # what the next one is expected to cost
        self._began = 0.0

    def small(self) -> bool:
        """Tell whether a small read may be parsed at once without being timed, and count it."""
        if self._small == SMALL_READS or self._spent >= ROUND or self._light:
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

    def task_begins(self) -> None:
        """Count a task that runs later in this turn. It is made after this call, and then ``task_made`` is called."""
        self.spend(self.task_cost)
        self._loop.call_soon(self._runs)

    def task_made(self) -> None:
        """See, once the loop comes to it, what the first step of the task has cost."""
        self._loop.call_soon(self._ran)

    def ask(self, worker: Worker, network: bytes | None = None, *, light: bool = False) -> None:
        """Give ``worker`` a step in one of the next rounds; ``network`` is that of its client. Without one it is its own."""
        if not worker.queued:
            worker.queued = True
            (self._light if light else self._heavy).add(worker, worker if network is None else network)
            self._schedule()

    def leave(self, worker: Worker, network: bytes, *, light: bool = False) -> None:
        """Take ``worker`` out of the line in which it has asked to be, as it has asked."""
        worker.queued = False
        (self._light if light else self._heavy).remove(worker, network)

    def _runs(self) -> None:
        self._began = self.now()

    def _ran(self) -> None:
        cost = min(self.now() - self._began, ROUND)
        expected = self.task_cost
        self.task_cost = expected + (cost - expected) / (_RISES if cost > expected else _FALLS)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._round)

    def _round(self) -> None:
        begun = last = self.now()
        light, heavy = self._light, self._heavy
        self.steps = 0
        self._spent = min(self._spent, ROUND / 2)  # whatever was done at once: the lines move
        try:
            while light or heavy:
                if not light or not heavy:
                    self._ahead = 0.0
                is_light = bool(light) and self._ahead <= 0.0
                worker = light.take() if is_light else heavy.take()
                worker.queued = False
                self.steps += 1
                spent = self._spent
                worker.step()
                now = self.now()
                took = now - last + self._spent - spent
                # One that took long, or was interrupted, is not to be paid back for seconds.
                self._ahead = max(-_OWED * ROUND, min(ROUND, self._ahead + (took if is_light else -took)))
                last = now
                if now - begun + self._spent >= ROUND:
                    break
        finally:  # a step that raises ends its own connection's turn, and nobody else's
            self._spent = 0.0
            self._small = 0
            self._scheduled = False
            if light or heavy:
                self._schedule()

    def __repr__(self) -> str:
        """Show how many are in line."""
        return f"<Turns {len(self._light) + len(self._heavy)} in line>"


_of_loops: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Turns]] = WeakKeyDictionary()


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    """Return the one line of ``loop``."""
    turns = _of_loops.get(loop)
    if turns is None:
        turns = _of_loops[loop] = Turns(loop)
    return turns
