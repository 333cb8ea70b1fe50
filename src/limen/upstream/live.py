"""An upstream while the gateway runs: what it has under way, and which of its targets gets a request.

A request picks its target first, then gets one of that target's connections:

1. ``choose``   a target that is due is probed, else the balancer picks among those that are well
2. ``answered``, ``failed``, ``overtaken``   what became of the attempt: the target's health may change

``TargetSet`` says who is well, ``Probes`` which request finds out, and ``TargetMonitor`` looks after targets beside requests.
With one target, nothing of this happens: ``only`` is that target.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from time import monotonic, time
from typing import final

from limen.exchange.request import Request
from limen.upstream.balance_live import StickyBalancer, balancer_of
from limen.upstream.connection import Connection
from limen.upstream.declared import Upstream
from limen.upstream.error import UpstreamError
from limen.upstream.live_target import LiveTarget
from limen.upstream.names import until_next
from limen.upstream.network import Network, Sockets
from limen.upstream.pool import Pool
from limen.upstream.probes import Probes
from limen.upstream.retry_rules import HedgeRules, RetryRules
from limen.upstream.shared_state import Shared
from limen.upstream.snapshot import TargetSnapshot, UpstreamSnapshot
from limen.upstream.target import Target
from limen.upstream.target_factory import TargetFactory
from limen.upstream.target_health import IN
from limen.upstream.target_monitor import TargetMonitor
from limen.upstream.target_set import TargetSet
from limen.upstream.tls_context import UpstreamTlsContext


@final
class LiveUpstream:
    """The targets of ``upstream``: ``in_flight`` attempts are under way at them, and ``waiting`` have no answer yet.

    ``retrying`` counts those of them that are not the first of their request, and those that follow in a moment.

    ``only`` is the target where there is but one; ``sticky`` binds clients to targets. ``retry`` and ``hedge`` are what is
    declared, None where nothing is retried, or hedged.
    """

    __slots__ = (
        *("_balancer", "_factory", "_monitor", "_probes", "_random", "_retired", "_target_set", "arrived", "changed"),
        *("clock", "hedge", "in_flight", "only", "retry", "retrying", "sticky", "upstream", "waiting"),
    )

    def __init__(
        self,
        upstream: Upstream,
        network: Network | None = None,
        *,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], float] = time,
        random: Random | None = None,
        keeps_idle: bool = True,
        retired: set[Pool] | None = None,
        before: "LiveUpstream | None" = None,
    ) -> None:
        """Load the files that TLS needs, and open nothing yet; raises ValueError for a file that cannot be used.

        ``network`` is shared by upstreams; None is the system's. ``clock`` gives seconds that never go back, ``now`` seconds
        since the epoch. Without ``keeps_idle`` a connection serves one exchange. Pools of targets that go, and are still in
        use, are in ``retired``. ``before`` is the same upstream as it was declared before: what lives of its targets is kept
        by their addresses.
        """
        self.upstream = upstream
        self.clock = clock
        self._random = Random() if random is None else random  # noqa: S311 - to balance
        self._balancer = balancer_of(upstream.balance, self._random)
        self.sticky: StickyBalancer | None = self._balancer if isinstance(self._balancer, StickyBalancer) else None
        self.retry: RetryRules | None = None if upstream.retry is None else RetryRules(upstream.retry)
        self.hedge: HedgeRules | None = None
        if upstream.hedge is not None and upstream.retry is not None and self.sticky is None:
            self.hedge = HedgeRules(upstream.hedge)
        self.in_flight: int = 0
        self.waiting: int = 0
        self.retrying: int = 0
        self.changed: Callable[[LiveUpstream, LiveTarget], None] | None = None
        self.arrived: Callable[[LiveUpstream], None] | None = None
        self._retired: set[Pool] = set() if retired is None else retired
        try:
            tls = UpstreamTlsContext(upstream)
        except ValueError as error:
            raise ValueError(f"upstream {upstream.name!r}: {error}") from None
        self.only: LiveTarget | None = None
        self._target_set = TargetSet(upstream)
        self._probes = Probes(upstream.ejection, clock)
        network = Sockets() if network is None else network
        self._factory = TargetFactory(
            *(upstream, network, tls), clock=clock, now=now, random=self._random, keeps_idle=keeps_idle
        )
        self._monitor = TargetMonitor(
            *(upstream, network, tls, self._target_set, self.retarget, self.checked), clock=clock, random=self._random
        )
        self._target_set.on_change = self._report_change
        keeps_pools = (
            before is not None and before.upstream.limits == upstream.limits and before.upstream.tls == upstream.tls
        )
        # What lives is changed by ``activate`` alone: this may be made for a compile that fails.
        self._have(self._factory.declared([] if before is None else before.targets, keeps_pools=keeps_pools))
        if before is None:
            self.activate()

    @property
    def targets(self) -> list[LiveTarget]:
        """All targets, in declared order."""
        return self._target_set.targets

    @property
    def panic(self) -> bool:
        """Whether too few targets are well, so that all are used."""
        return self._target_set.panic

    # --- what lives beside requests ---

    def start(self, loop: asyncio.AbstractEventLoop, *, checks: bool = True) -> None:
        """Look names up and check targets in ``loop`` from now on; without ``checks`` another process checks them."""
        self._monitor.start(loop, checks=checks)

    def stop(self) -> None:
        """End what ``start`` has begun; a check that is cancelled ends in the next turns of the loop."""
        self._monitor.stop()

    def check(self, *, by_itself: bool) -> None:
        """Check the targets from now on, or leave that to another process that shares what it finds."""
        self._monitor.check(by_itself=by_itself)

    def unchecked(self) -> int:
        """Return how many targets were to be checked, and never were yet."""
        return 0 if self.upstream.health is None else sum(not target.health.checked for target in self.targets)

    def look_up_soon(self) -> None:
        """Look names up, as a target could not be connected to: the service may have moved."""
        self._monitor.look_up_soon()

    def retarget(self, addresses: Sequence[Target]) -> None:
        """Have these targets from now on; those that stay keep all that lives of them, and exchanges go on where they are."""
        before = self.targets
        self._have(self._factory.moved(addresses, before))
        self.activate()
        for target in before:
            if target not in self.targets:
                target.pool.retire(self._retired)
        if self.arrived is not None:
            self.arrived(self)
        self._monitor.check_others()

    def _have(self, targets: list[LiveTarget]) -> None:
        self._target_set.have(targets)
        self.only = self._target_set.only  # each request asks for it

    def activate(self) -> None:
        """Let the targets live by this declaration from now on."""
        self._target_set.activate()

    # --- the choice ---

    def choose(self, request: Request, tried: list[LiveTarget], *, repeatable: bool) -> LiveTarget:
        """Return the target for an attempt; one of ``tried`` only where no other is well.

        ``repeatable`` requests may probe a target that returns: they lose nothing if it fails again.
        """
        if self.only is not None:
            return self.only
        target_set = self._target_set
        if tried:  # no probe: what has failed once is to succeed now
            others = [target for target in target_set.well if target not in tried]
            if target_set.panic:  # then all are among them, and those that are well come first
                others = [target for target in others if target.health.state == IN] or others
            return self._balancer.pick(others or self._reachable(tried) or target_set.well, request)
        if self.sticky is not None:
            bound = self.sticky.named(target_set.targets, request)
            # A drained target keeps its sessions, and no session probes another target.
            if bound is not None and bound.health.state == IN:
                return bound
        if target_set.out and (probed := self._probes.due(target_set.out, repeatable=repeatable)) is not None:
            return probed
        return self._balancer.pick(target_set.well, request)

    def random(self) -> float:
        """Return a number from 0 to 1, 1 excluded."""
        return self._random.random()

    def another(self, tried: list[LiveTarget]) -> bool:
        """Tell whether a target is well and not among ``tried``: none that is kept in although it fails."""
        for target in self._target_set.well:
            if not target.health.failing and target.health.state == IN and target not in tried:
                return True
        return False

    def reachable(self, tried: list[LiveTarget]) -> bool:
        """Tell whether there is a target, well or not, that is not among ``tried`` and to which one could connect last."""
        return bool(self._reachable(tried))

    def _reachable(self, tried: list[LiveTarget]) -> list[LiveTarget]:
        return [
            target
            for target in self.targets
            if target not in tried and not target.health.unreachable and not target.health.drained_since
        ]

    def takes(self, *, repeatable: bool) -> bool:
        """Tell whether a request that could be answered elsewhere should come here.

        While no target is well, or too few are, one at a time comes to find out whether that is over: one that loses nothing
        by it, unless nothing else has come for long.
        """
        if self.only is not None or (not self.panic and self.another([])):
            return True
        return self._probes.let_in(self._target_set.out, waiting=self.waiting > 0, repeatable=repeatable)

    # --- what became of attempts ---

    def began(self, target: LiveTarget, *, again: bool) -> bool:
        """Count an attempt at ``target``, which ``choose`` has just given; return whether it is a probe.

        ``again`` says that it is not the first attempt of its request.
        """
        target.in_flight += 1
        self.in_flight += 1
        self.waiting += 1
        if again:
            self.retrying += 1
        probe, target.health.probe_chosen = target.health.probe_chosen, False
        return probe

    def ended(self, target: LiveTarget, *, again: bool, probe: bool) -> None:
        """Count it no longer, however it ended. Called once for each ``began``."""
        target.in_flight -= 1
        self.in_flight -= 1
        if probe:
            target.health.probe_under_way = False
        if again:
            self.retrying -= 1

    def answered(self, target: LiveTarget, status: int, now: float) -> None:
        """Take note of the head of an answer, at ``now`` of the clock."""
        health = target.health
        health.unreachable = False
        if status < 500:
            if health.succeeded(now):
                self._target_set.state_changed(target)
            return
        health.failed(f"an answer of {status}", now, status=status)
        if health.wants_out:
            self._target_set.judge(target)

    def failed(self, target: LiveTarget, what: str, now: float, *, unreachable: bool = False) -> None:
        """Take note of an attempt that failed at the target: no connection, a cut or invalid answer, no answer in time.

        ``unreachable`` says that it could not be connected to.
        """
        target.health.unreachable = unreachable
        target.health.failed(what, now)
        if target.health.wants_out:
            self._target_set.judge(target)

    def overtaken(self, target: LiveTarget, seconds: float, now: float) -> None:
        """Take note that a later attempt at another target was answered first, ``seconds`` after this one had begun."""
        target.health.overtaken(seconds, now)
        if target.health.wants_out:
            self._target_set.judge(target)

    def checked(self, target: LiveTarget, problem: str) -> None:
        """Take note of an active check, which was good if there is no ``problem``."""
        declared = self.upstream.health
        if declared is None:
            return
        health = target.health
        first = not health.checked
        changed = health.check_failed(problem, declared.fall) if problem else health.check_passed(declared.rise)
        if changed:
            self._target_set.state_changed(target)
        elif first:
            self._report_change(target)  # others wait for that, too

    def _report_change(self, target: LiveTarget) -> None:
        if self.changed is not None:
            self.changed(self, target)

    # --- what an operator says, and other workers of this machine ---

    def drain(self, address: str) -> None:
        """Let the target at ``address`` get no new requests; those under way go on. Raises LookupError if there is none."""
        self._target_set.drain(address)

    def restore(self, address: str) -> None:
        """Let a drained target get requests again. Raises LookupError if there is none at ``address``."""
        self._target_set.restore(address)

    def follow(self, target: LiveTarget, shared: Shared) -> None:
        """Take over what another worker tells of the target, if the others can do without it. ``changed`` is not called."""
        self._target_set.follow(target, shared)

    # --- connections ---

    async def connect(self, timeout: float | None) -> tuple[Pool, Connection]:
        """Return a connection, and the pool that it goes back to, for a request of the gateway's own.

        Targets that are well come first, and each is tried once. ``timeout`` is in seconds, for waiting and connecting
        together; None is no bound. Raises UpstreamError with ``sent`` False.
        """
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        candidates = self._random.sample(self._target_set.well, len(self._target_set.well))
        candidates.sort(key=lambda target: target.pool.full)  # one that has room comes first
        candidates += [target for target in self.targets if target not in candidates]
        left = len(candidates)
        while True:
            target = candidates[-left]
            left -= 1
            if (connection := target.pool.idle()) is not None:
                return target.pool, connection
            # Whoever has to wait in a queue waits there for as long as there is time.
            until = deadline if target.pool.full else until_next(deadline, left)
            try:
                connection = await target.pool.acquire(None if until is None else max(0.0, until - loop.time()))
            except UpstreamError as error:
                if error.fault.kind.source == "gateway":
                    raise
                self.failed(target, error.fault.cause or error.fault.text, self.clock(), unreachable=True)
                if not left:
                    raise
            else:
                return target.pool, connection

    def scarce(self) -> bool:
        """Tell whether half of all connections or more are in use: then no request may hold one before its body is complete.

        False once the queues are full as well: a request is then refused at once, and need not send its body first.
        """
        most = used = waiting = room = 0
        limits = self.upstream.limits
        for target in self._target_set.well:
            pool = target.pool
            most += limits.connections
            used += pool.used
            waiting += pool.waiting
            room += limits.waiting
        if waiting or used >= most:
            return waiting < room
        return 2 * used >= most

    # --- the end ---

    def snapshot(self) -> UpstreamSnapshot:
        """Return the current counts, and the state of each target where there are several."""
        idle = busy = waiting = 0
        targets: list[TargetSnapshot] = []
        for target in self.targets:
            now = target.snapshot()
            idle += now.idle
            busy += now.busy
            waiting += now.waiting
            targets.append(now)
        shown = tuple(targets) if self.only is None else ()
        return UpstreamSnapshot(self.upstream.name, idle, busy, waiting, shown, self.panic)

    async def drained(self) -> None:
        """Return once no connection is in use or being opened, and no request waits for one."""
        while any(target.pool.in_use for target in self.targets):
            for target in self.targets:
                await target.pool.drained()

    def retire(self, kept: "LiveUpstream | None") -> None:
        """Close idle connections now, and those in use when they come back, but for the pools that ``kept`` has too."""
        self.stop()
        self.changed = self.arrived = None
        self._target_set.successor = None if kept is None else kept._target_set
        still = [] if kept is None else [target.pool for target in kept.targets]
        for target in self.targets:
            if target.pool not in still:
                target.pool.retire(self._retired)

    async def aclose(self) -> None:
        """Close every connection; exchanges still running, or waiting for one, end with a fault."""
        self.stop()
        await self._monitor.stopped()
        for target in self.targets:
            await target.pool.aclose()

    def __repr__(self) -> str:
        """Show the current counts."""
        now = self.snapshot()
        return f"<LiveUpstream {now.name} {now.idle} idle {now.busy} busy {now.waiting} waiting>"
