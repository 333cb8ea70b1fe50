"""What runs for one upstream beside its requests: its names are looked up, and its targets are checked.

Nothing runs before ``start``, and nothing after ``stop``; both can follow each other.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import final

from limen.upstream.declared import Upstream
from limen.upstream.health_checker import HealthChecker
from limen.upstream.live_target import LiveTarget
from limen.upstream.name_watch import NameWatch, named
from limen.upstream.network import Network
from limen.upstream.target import Target
from limen.upstream.target_set import TargetSet
from limen.upstream.tls_context import UpstreamTlsContext


@final
class TargetMonitor:
    """Calls ``retarget`` when names have other addresses, and ``checked`` with a target and what a check has found wrong."""

    __slots__ = (
        *("_checked", "_checker", "_clock", "_ending", "_loop", "_network", "_random", "_retarget", "_target_set"),
        *("_tls", "_upstream", "_watch"),
    )

    def __init__(
        self,
        upstream: Upstream,
        network: Network,
        tls: UpstreamTlsContext,
        target_set: TargetSet,
        retarget: Callable[[Sequence[Target]], None],
        checked: Callable[[LiveTarget, str], None],
        *,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        """``target_set`` has the targets that are checked. ``clock`` gives seconds that never go back."""
        self._upstream = upstream
        self._network = network
        self._tls = tls
        self._target_set = target_set
        self._retarget = retarget
        self._checked = checked
        self._clock = clock
        self._random = random
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: NameWatch | None = None
        self._checker: HealthChecker | None = None
        self._ending: HealthChecker | None = None

    def start(self, loop: asyncio.AbstractEventLoop, *, checks: bool) -> None:
        """Look names up in ``loop`` from now on, and check targets if this process ``checks`` them."""
        self._loop = loop
        self.check(by_itself=checks)
        addresses = self._upstream.addresses
        if self._watch is None and any(named(target) for target in addresses):
            self._watch = NameWatch(
                *(self._upstream.name, addresses, self._network, self._retarget, self._random),
                self._upstream.resolve_every,
            )
            self._watch.start(loop)

    def stop(self) -> None:
        """End what ``start`` has begun; a check that is cancelled ends in the next turns of the loop (``stopped``)."""
        self.check(by_itself=False)
        self._loop = None
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    async def stopped(self) -> None:
        """Return once no check is left, after ``stop``."""
        if self._ending is not None:
            await self._ending.closed()

    def check(self, *, by_itself: bool) -> None:
        """Check the targets from now on, or leave that to another process that shares what it finds."""
        loop, health = self._loop, self._upstream.health
        if by_itself and self._checker is None and loop is not None and health is not None:
            self._checker = HealthChecker(
                *(self._upstream, health, self._network, self._tls.context, self._checked),
                clock=self._clock,
                random=self._random,
                loop=loop,
            )
            self._checker.have(self._target_set.targets)
        elif not by_itself and self._checker is not None:
            self._checker.close()
            self._ending, self._checker = self._checker, None

    def check_others(self) -> None:
        """Check the targets that there are now, and no others, if they are checked here."""
        if self._checker is not None:
            self._checker.have(self._target_set.targets)

    def look_up_soon(self) -> None:
        """Look names up, as a target could not be connected to: the service may have moved."""
        if self._watch is not None:
            self._watch.refresh()

    def __repr__(self) -> str:
        """Show what runs."""
        return f"<TargetMonitor {self._upstream.name} {self._watch!r} {self._checker!r}>"
