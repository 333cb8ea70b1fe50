"""The scheduler of one event loop: it bounds the work that connections do in one turn (iteration) of the loop.

Without it, a connection that pipelines, or sends tiny chunks, would be served for as long as its bytes last while all
others wait. A connection with more work asks for a step in a later round; between two rounds the loop polls its sockets.
Clients and services share the rounds of a loop, because all of them feel a long one.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final, Protocol

from limen.fairness.round_robin import RoundRobinQueue

# Seconds of one round, after which the loop serves everything else. A step that runs then is not interrupted.
ROUND: Final = 0.002

# A read of so many bytes is long: its connection is not read again before its turn. The next such read is charged with
# so many seconds: copying 256 KiB, and the kernel's work for them.
LONG_READ: Final = 65536
READ_COST: Final = 0.0002

# Small reads, which are nearly every request: so many are parsed at once between two rounds, without being timed. Together
# they are charged with half a round.
SMALL_READS: Final = 24

# Seconds charged for the first step of a task before one was measured. The estimate moves by a part of the difference: a
# half when a task costs more, a sixteenth when it costs less.
TASK_COST: Final = 0.0005
_RISE_DIVISOR: Final = 2
_FALL_DIVISOR: Final = 16

# Rounds by which light work may lag behind heavy work, and which it gets back.
_LAG: Final = 4

# Seconds charged for closing a connection whose peer still sends: the kernel throws some MiB away.
CLOSE_COST: Final = 0.0005


class Job(Protocol):
    """Something that does its work in steps."""

    queued: bool
    """Whether it is in a queue of the scheduler, which sets this."""

    def step(self) -> None:
        """Do one step, and ask again if there is more."""
        ...


class LoopScheduler:
    """Gives steps to jobs from two queues, light and heavy work. Within a queue, networks of clients take turns.

    A small request is light work. Where both queues have work, each gets half of the time: so a small request waits for other
    light work alone, and not for each of a hundred connections that pipeline.
    """

    __slots__ = (
        "_charged",
        "_heavy",
        "_light",
        "_light_lead",
        "_loop",
        "_scheduled",
        "_small_reads",
        "_task_began",
        "now",
        "steps",
        "task_cost",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float] = perf_counter) -> None:
        """Both queues are empty; ``now`` gives seconds."""
        self._loop = loop
        self.now = now
        self._light: RoundRobinQueue[Job] = RoundRobinQueue()
        self._heavy: RoundRobinQueue[Job] = RoundRobinQueue()
        self._light_lead = 0.0  # seconds that light work has had more than heavy work, while both had some
        self._scheduled = False
        self.steps = 0  # in the last round
        self._charged = 0.0  # seconds, to the next round
        self._small_reads = 0
        self.task_cost = TASK_COST  # what the next task is expected to cost
        self._task_began = 0.0

    def admit_small_read(self) -> bool:
        """Tell whether a small read may be parsed at once without being timed, and count it."""
        if self._small_reads == SMALL_READS or self._charged >= ROUND or self._light:
            return False
        self._small_reads += 1
        if self._small_reads == SMALL_READS:
            self.charge(ROUND / 2)
        return True

    def has_time(self) -> bool:
        """Tell whether this turn of the loop has time left for work at once."""
        return self._charged < ROUND

    def charge_since(self, begun: float) -> None:
        """Charge the next round with work that was done at once since ``begun``."""
        self._charged += self.now() - begun
        self._schedule()

    def charge(self, seconds: float) -> None:
        """Charge the next round with ``seconds`` for what the loop does later: a task, a read."""
        self._charged += seconds
        self._schedule()

    def task_begins(self) -> None:
        """Charge a task that runs later in this turn. The caller creates it after this, then calls ``task_made``."""
        self.charge(self.task_cost)
        self._loop.call_soon(self._before_task)

    def task_made(self) -> None:
        """Measure what the first step of the task costs, once the loop has run it."""
        self._loop.call_soon(self._after_task)

    def ask(self, job: Job, network: bytes | None = None, *, light: bool = False) -> None:
        """Queue ``job`` for one step. ``network`` is that of its client; without one, ``job`` is its own network."""
        if not job.queued:
            job.queued = True
            (self._light if light else self._heavy).add(job, job if network is None else network)
            self._schedule()

    def leave(self, job: Job, network: bytes, *, light: bool = False) -> None:
        """Remove ``job`` from its queue; the arguments are those of ``ask``."""
        job.queued = False
        (self._light if light else self._heavy).remove(job, network)

    def _before_task(self) -> None:
        self._task_began = self.now()

    def _after_task(self) -> None:
        cost = min(self.now() - self._task_began, ROUND)
        expected = self.task_cost
        self.task_cost = expected + (cost - expected) / (_RISE_DIVISOR if cost > expected else _FALL_DIVISOR)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._round)

    def _round(self) -> None:
        begun = last = self.now()
        light, heavy = self._light, self._heavy
        self.steps = 0
        self._charged = min(self._charged, ROUND / 2)  # the queues move on, however much was done at once
        try:
            while light or heavy:
                if not light or not heavy:
                    self._light_lead = 0.0
                is_light = bool(light) and self._light_lead <= 0.0
                job = light.take() if is_light else heavy.take()
                job.queued = False
                self.steps += 1
                charged = self._charged
                job.step()
                now = self.now()
                cost = now - last + self._charged - charged
                # Bounded: a step that took long, or was interrupted, is not paid back for seconds.
                lead = self._light_lead + (cost if is_light else -cost)
                self._light_lead = max(-_LAG * ROUND, min(ROUND, lead))
                last = now
                if now - begun + self._charged >= ROUND:
                    break
        finally:  # a step that raises ends its own connection's turn, and nobody else's
            self._charged = 0.0
            self._small_reads = 0
            self._scheduled = False
            if light or heavy:
                self._schedule()

    def __repr__(self) -> str:
        """Show how many jobs are queued."""
        return f"<LoopScheduler {len(self._light) + len(self._heavy)} queued>"


_schedulers: Final[dict[asyncio.AbstractEventLoop, LoopScheduler]] = {}


def scheduler_of(loop: asyncio.AbstractEventLoop) -> LoopScheduler:
    """Return the one scheduler of ``loop``."""
    scheduler = _schedulers.get(loop)
    if scheduler is None:
        for old in tuple(_schedulers):
            if old.is_closed():  # weak references would not do: a scheduler refers to its loop
                _schedulers.pop(old, None)
        scheduler = _schedulers[loop] = LoopScheduler(loop)
    return scheduler
