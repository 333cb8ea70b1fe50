"""Makes the live targets of an upstream, and keeps what lives of them where they were known before.

Nothing that lives is changed for a declaration: it may be made for a compile that fails.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import final

from limen.upstream.declared import Upstream
from limen.upstream.live_target import LiveTarget
from limen.upstream.name_watch import named
from limen.upstream.network import Network
from limen.upstream.pool import Pool
from limen.upstream.target import Target
from limen.upstream.target_health import TargetHealth
from limen.upstream.tls_context import UpstreamTlsContext


@final
class TargetFactory:
    """Makes targets of ``upstream``. One that was known before is the same one, found by its address."""

    __slots__ = ("_clock", "_keeps_idle", "_network", "_now", "_random", "_tls", "_upstream")

    def __init__(
        self,
        upstream: Upstream,
        network: Network,
        tls: UpstreamTlsContext,
        *,
        clock: Callable[[], float],
        now: Callable[[], float],
        random: Random,
        keeps_idle: bool,
    ) -> None:
        """Make none yet. Without ``keeps_idle`` a connection serves one exchange."""
        self._upstream = upstream
        self._network = network
        self._tls = tls
        self._clock = clock
        self._now = now
        self._random = random
        self._keeps_idle = keeps_idle

    def declared(self, before: list[LiveTarget], *, keeps_pools: bool) -> list[LiveTarget]:
        """Return the declared targets, a name as its addresses if these are known.

        ``before`` are the targets of the declaration before; ``keeps_pools`` says that their connections are kept, too.
        """
        known = {target.target.key: target for target in before}
        after: list[LiveTarget] = []
        for declared in self._upstream.addresses:
            places = [target.target for target in before if target.target.url == declared.url]
            for place in places or [declared]:
                after.append(self._live(place, known.get(place.key), keeps_pool=keeps_pools))
        return after

    def moved(self, addresses: Sequence[Target], before: list[LiveTarget]) -> list[LiveTarget]:
        """Return the targets at ``addresses``; those that were there ``before`` keep all that lives of them.

        The first address of a name takes over what lives of the name, which was a target before it was looked up.
        """
        known = {target.target.key: target for target in before}
        wanted = {address.key for address in addresses}
        unplaced = {
            target.target.url: target for target in before if target.target.key not in wanted and named(target.target)
        }
        after: list[LiveTarget] = []
        for address in addresses:
            live = known.get(address.key) or unplaced.pop(address.url, None)
            if live is not None:
                live.move(address)
            after.append(self._live(address, live, keeps_pool=True))
        return after

    def _live(self, target: Target, known: LiveTarget | None, *, keeps_pool: bool) -> LiveTarget:
        if known is not None and keeps_pool:
            return known
        pool = Pool(
            *(self._upstream, target, self._network, self._tls.context),
            clock=self._clock,
            random=self._random,
            keeps_idle=self._keeps_idle,
        )
        health = TargetHealth(self._upstream.ejection, self._clock, self._now, self._random)
        live = LiveTarget(target, pool, health)
        if known is not None:
            live.adopt(known)
        return live

    def __repr__(self) -> str:
        """Show for which upstream it makes targets."""
        return f"<TargetFactory {self._upstream.name}>"
