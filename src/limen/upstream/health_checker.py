"""When the targets of one upstream are checked: each by its own timetable, and all that runs within bounds.

- a new target is checked at once; one that was checked before a reload keeps its timetable (``TargetHealth.check_at``)
- the next check begins ``interval`` seconds after the last, or ``unhealthy_interval`` while checks fail, with jitter
- at most ``MOST_AT_ONCE`` checks run; those that are due wait in line, each target once

Nothing but timers of the loop moves it, and ``close`` ends all of it.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from limen.observe.redaction import logger
from limen.upstream.declared import Upstream
from limen.upstream.health import Health
from limen.upstream.health_check import check_target
from limen.upstream.live_target import LiveTarget
from limen.upstream.network import Network

_log = logger("limen.upstream")

MOST_AT_ONCE: Final = 32
"""Checks of one upstream that run at once. Those of another one do not wait for them."""

JITTER: Final = 0.2
"""The share by which an interval is shorter or longer at random."""

# The least seconds between the end of a check and the next: one that takes longer than the interval leaves the loop a rest.
_REST: Final = 0.01


class _Checked:
    """One target, and what is under way for it: a timer, a place in the line, or a check."""

    __slots__ = ("failed", "target", "task", "timer")

    def __init__(self, target: LiveTarget) -> None:
        self.target = target
        self.timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self.failed = False  # by a bug, which is logged once


class HealthChecker:
    """Checks targets of ``upstream`` as ``health`` says; ``report`` gets each target with what is wrong with it."""

    __slots__ = (
        *("_checked", "_clock", "_health", "_line", "_loop", "_network", "_random", "_report", "_running"),
        *("_tasks", "_tls", "_upstream"),
    )

    def __init__(
        self,
        upstream: Upstream,
        health: Health,
        network: Network,
        tls: Callable[[], ssl.SSLContext | None],
        report: Callable[[LiveTarget, str], None],
        *,
        clock: Callable[[], float],
        random: Random,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Check nothing yet. ``clock`` gives seconds that never go back; everything runs in ``loop``."""
        self._upstream = upstream
        self._health = health
        self._network = network
        self._tls = tls
        self._report = report
        self._clock = clock
        self._random = random
        self._loop: asyncio.AbstractEventLoop | None = loop
        self._checked: dict[LiveTarget, _Checked] = {}
        self._line: deque[_Checked] = deque()
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def have(self, targets: Iterable[LiveTarget]) -> None:
        """Check these targets from now on, and no others; those that stay keep their timetables."""
        loop = self._loop
        if loop is None:
            return
        before, self._checked = self._checked, {}
        for target in targets:
            one = before.pop(target, None)
            if one is None:
                one = _Checked(target)
                one.timer = loop.call_later(max(0.0, target.health.check_at - self._clock()), self._due, one)
            self._checked[target] = one
        for gone in before.values():
            self._end(gone)

    def close(self) -> None:
        """End all that runs, for good. The tasks are cancelled, and end in the next turns of the loop (``closed``)."""
        self._loop = None
        checked, self._checked = self._checked, {}
        self._line.clear()
        for one in checked.values():
            self._end(one)

    async def closed(self) -> None:
        """Return once no task is left, after ``close``."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _end(self, one: _Checked) -> None:
        if one.timer is not None:
            one.timer.cancel()
            one.timer = None
        if one.task is not None:
            one.task.cancel()
        if one in self._line:
            self._line.remove(one)

    def _due(self, one: _Checked) -> None:
        one.timer = None
        if self._running >= MOST_AT_ONCE:
            self._line.append(one)
        else:
            self._begin(one)

    def _begin(self, one: _Checked) -> None:
        loop = self._loop
        assert loop is not None
        self._running += 1
        one.task = loop.create_task(self._check(one, loop.time()))
        self._tasks.add(one.task)
        one.task.add_done_callback(self._ended)

    async def _check(self, one: _Checked, begun: float) -> None:
        try:
            problem = await check_target(self._upstream, self._health, one.target.target, self._network, self._tls)
        except Exception as error:  # a bug, of a network of the user's for one: the timetable must not end with it
            problem = f"the check failed: {type(error).__name__}"
            if not one.failed:
                _log.exception("upstream %s: the check of %s failed", self._upstream.name, one.target.name)
            one.failed = True
        if self._checked.get(one.target) is one:  # nobody cares any more for one that has just been removed
            one.task = None
            self._report(one.target, problem)
            self._schedule(one, begun, failing=bool(problem) or one.target.health.check_failing)

    def _schedule(self, one: _Checked, begun: float, *, failing: bool) -> None:
        if self._loop is None or self._checked.get(one.target) is not one:  # ``report`` may have ended this
            return
        interval = self._health.unhealthy_interval if failing else self._health.interval
        interval *= self._random.uniform(1 - JITTER, 1 + JITTER)
        wait = max(_REST, begun + interval - self._loop.time())
        one.target.health.check_at = self._clock() + wait
        one.timer = self._loop.call_later(wait, self._due, one)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._running -= 1
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "a health check failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)
        if self._line and self._running < MOST_AT_ONCE and self._loop is not None:
            self._begin(self._line.popleft())

    def __repr__(self) -> str:
        """Show how many targets there are, how many checks run, and how many wait."""
        return (
            f"<HealthChecker {self._upstream.name} {len(self._checked)} targets {self._running} running "
            f"{len(self._line)} in line>"
        )
