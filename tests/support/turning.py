"""A loop of which a test makes the turns, and turns of a loop for what needs them without having much to do."""

import asyncio
from collections.abc import Callable
from typing import cast

from limen.fairness.scheduler import LoopScheduler


class Loop:
    """Runs what it is given when it is told to."""

    def __init__(self) -> None:
        """Nothing is to be run."""
        self.soon: list[Callable[[], object]] = []

    def call_soon(self, what: Callable[[], object]) -> None:
        """Take note of it."""
        self.soon.append(what)

    def turn(self) -> int:
        """Run what was asked for, and nothing that this asks for; return how many things that were."""
        now, self.soon = self.soon, []
        for what in now:
            what()
        return len(now)

    def run(self) -> None:
        """Run all that there is."""
        while self.soon:
            self.turn()


def turns_on(loop: Loop, now: Callable[[], float]) -> LoopScheduler:
    """Return the turns of ``loop``, by a clock of one's own."""
    return LoopScheduler(cast("asyncio.AbstractEventLoop", loop), now)  # it has all that is used


def timeless() -> LoopScheduler:
    """Return turns in which work takes no time: of the loop that runs, if one does."""
    try:
        return LoopScheduler(asyncio.get_running_loop(), lambda: 0.0)
    except RuntimeError:
        return turns_on(Loop(), lambda: 0.0)
