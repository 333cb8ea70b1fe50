"""An upstream while the gateway runs: its targets, who may be picked, and what they share: the budget of retries.

A request picks its target first, then gets one of that target's connections:

1. ``choose``   a target that is due is probed, else the balancer picks among those that are well
2. ``answered``, ``failed``, ``overtaken``   what became of the attempt: the target's health may change
3. ``_refresh`` whenever a state changes, who may be picked is found out anew: choosing looks at nothing else

With one target, nothing of this happens: ``only`` is that target.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from math import ceil
from random import Random
from time import monotonic, time
from typing import Final, final

from limen.exchange.request import Request
from limen.upstream.balance import Sticky, Weights
from limen.upstream.balance_live import StickyBalancer, balancer_of
from limen.upstream.connection import Connection
from limen.upstream.declared import Upstream
from limen.upstream.error import UpstreamError
from limen.upstream.health_checker import HealthChecker
from limen.upstream.live_target import LiveTarget
from limen.upstream.name_watch import NameWatch, named
from limen.upstream.names import until_next
from limen.upstream.network import Network, Sockets
from limen.upstream.pool import Pool
from limen.upstream.retry_rules import HedgeRules, RetryRules
from limen.upstream.shared_state import Availability, CheckState, DrainState, Shared
from limen.upstream.snapshot import TargetSnapshot, UpstreamSnapshot
from limen.upstream.target import Target
from limen.upstream.target_health import IN, OUT, PROBING, TargetHealth
from limen.upstream.tls_context import UpstreamTlsContext

_log = logging.getLogger("limen.upstream")

# Seconds for which a request that is to find out whether a target is well keeps others from it. A body may come slowly, and
# an answer may be long in coming: others find out meanwhile.
LONGEST_PROBE: Final = 2.0


@final
class LiveUpstream:
    """The targets of ``upstream``: ``in_flight`` attempts are under way at them, and ``waiting`` have no answer yet.

    ``retrying`` counts those of them that are not the first of their request, and those that follow in a moment.

    ``only`` is the target where there is but one; ``sticky`` binds clients to targets. ``retry`` and ``hedge`` are what is
    declared, None where nothing is retried, or hedged.
    """

    __slots__ = (
        *("_balancer", "_checker", "_ending", "_keeps_idle", "_let_in_at", "_loop", "_make_tls", "_network", "_now"),
        *("_out", "_random", "_retired", "_successor", "_watch", "_well", "arrived", "changed", "clock", "hedge"),
        *("in_flight", "only", "panic", "retry", "retrying", "sticky", "targets", "upstream", "waiting"),
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
        self._now = now
        self._random = Random() if random is None else random  # noqa: S311 - to balance
        self._network: Network = Sockets() if network is None else network
        self._keeps_idle = keeps_idle
        self._balancer = balancer_of(upstream.balance, self._random)
        self.sticky: StickyBalancer | None = self._balancer if isinstance(self._balancer, StickyBalancer) else None
        self.retry: RetryRules | None = None if upstream.retry is None else RetryRules(upstream.retry)
        self.hedge: HedgeRules | None = None
        if upstream.hedge is not None and upstream.retry is not None and self.sticky is None:
            self.hedge = HedgeRules(upstream.hedge)
        self.in_flight: int = 0
        self.waiting: int = 0
        self.retrying: int = 0
        self.panic: bool = False
        self.changed: Callable[[LiveUpstream, LiveTarget], None] | None = None
        self._successor: LiveUpstream | None = None  # what has taken over the targets, while exchanges still run here
        self.arrived: Callable[[LiveUpstream], None] | None = None
        self._retired: set[Pool] = set() if retired is None else retired
        try:
            self._make_tls = UpstreamTlsContext(upstream)
        except ValueError as error:
            raise ValueError(f"upstream {upstream.name!r}: {error}") from None
        self.targets: list[LiveTarget] = []
        self.only: LiveTarget | None = None
        self._well: list[LiveTarget] = []
        self._let_in_at: float = 0.0  # when a request came here last to find out whether it is over
        self._out: list[LiveTarget] = []
        self._watch: NameWatch | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._checker: HealthChecker | None = None
        self._ending: HealthChecker | None = None
        known = {} if before is None else {target.target.key: target for target in before.targets}
        keeps_pools = (
            before is not None and before.upstream.limits == upstream.limits and before.upstream.tls == upstream.tls
        )
        # What lives is changed by ``activate`` alone: this may be made for a compile that fails.
        self._have(
            [self._live(target, known.get(target.key), keeps_pool=keeps_pools) for target in _placed(upstream, before)]
        )
        if before is None:
            self.activate()

    def _live(self, target: Target, known: LiveTarget | None, *, keeps_pool: bool) -> LiveTarget:
        if known is not None and keeps_pool:
            return known
        pool = Pool(
            self.upstream,
            target,
            self._network,
            self._make_tls.context,
            clock=self.clock,
            random=self._random,
            keeps_idle=self._keeps_idle,
        )
        health = TargetHealth(self.upstream.ejection, self.clock, self._now, self._random)
        live = LiveTarget(target, pool, health)
        if known is not None:
            live.adopt(known)
        return live

    # --- what lives beside requests ---

    def start(self, loop: asyncio.AbstractEventLoop, *, checks: bool = True) -> None:
        """Look names up and check targets in ``loop`` from now on; without ``checks`` another process checks them."""
        self._loop = loop
        self.check(by_itself=checks)
        if self._watch is None and any(named(target) for target in self.upstream.addresses):
            self._watch = NameWatch(
                self.upstream.name,
                self.upstream.addresses,
                self._network,
                self.retarget,
                self._random,
                self.upstream.resolve_every,
            )
            self._watch.start(loop)

    def stop(self) -> None:
        """End what ``start`` has begun; a check that is cancelled ends in the next turns of the loop."""
        self.check(by_itself=False)
        self._loop = None
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def check(self, *, by_itself: bool) -> None:
        """Check the targets from now on, or leave that to another process that shares what it finds."""
        loop, health = self._loop, self.upstream.health
        if by_itself and self._checker is None and loop is not None and health is not None:
            self._checker = HealthChecker(
                *(self.upstream, health, self._network, self._make_tls.context, self.checked),
                clock=self.clock,
                random=self._random,
                loop=loop,
            )
            self._checker.have(self.targets)
        elif not by_itself and self._checker is not None:
            self._checker.close()
            self._ending, self._checker = self._checker, None

    def unchecked(self) -> int:
        """Return how many targets were to be checked, and never were yet."""
        return 0 if self.upstream.health is None else sum(not target.health.checked for target in self.targets)

    def look_up_soon(self) -> None:
        """Look names up, as a target could not be connected to: the service may have moved."""
        if self._watch is not None:
            self._watch.refresh()

    def retarget(self, addresses: Sequence[Target]) -> None:
        """Have these targets from now on; those that stay keep all that lives of them, and exchanges go on where they are.

        The first address of a name takes over what lives of the name, which was a target before it was looked up.
        """
        before = self.targets
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
        self._have(after)
        self.activate()
        for target in before:
            if target not in self.targets:
                target.pool.retire(self._retired)
        if self.arrived is not None:
            self.arrived(self)
        if self._checker is not None:
            self._checker.have(self.targets)

    def _have(self, targets: list[LiveTarget]) -> None:
        self.targets = targets
        alone = len(targets) == 1 and self.upstream.health is None and self.sticky is None
        self.only = targets[0] if alone else None

    def activate(self) -> None:
        """Let the targets live by this declaration from now on."""
        balance = self.upstream.balance
        weights: Weights = {} if isinstance(balance, Sticky) else balance.weights
        for target in self.targets:
            target.health.follow(self.upstream.ejection)
            target.weigh(weights.get(target.target.url, 1.0))
            if self.upstream.health is None:
                target.health.unchecked()
        self._refresh()

    # --- the choice ---

    def choose(self, request: Request, tried: list[LiveTarget], *, repeatable: bool) -> LiveTarget:
        """Return the target for an attempt; one of ``tried`` only where no other is well.

        ``repeatable`` requests may probe a target that returns: they lose nothing if it fails again.
        """
        if self.only is not None:
            return self.only
        if tried:  # no probe: what has failed once is to succeed now
            others = [target for target in self._well if target not in tried]
            if self.panic:  # then all are among them, and those that are well come first
                others = [target for target in others if target.health.state == IN] or others
            return self._balancer.pick(others or self._reachable(tried) or self._well, request)
        if self.sticky is not None:
            bound = self.sticky.named(self.targets, request)
            # A drained target keeps its sessions, and no session probes another target.
            if bound is not None and bound.health.state == IN:
                return bound
        if self._out and (probed := self._due(repeatable=repeatable)) is not None:
            return probed
        return self._balancer.pick(self._well, request)

    def random(self) -> float:
        """Return a number from 0 to 1, 1 excluded."""
        return self._random.random()

    def another(self, tried: list[LiveTarget]) -> bool:
        """Tell whether a target is well and not among ``tried``: none that is kept in although it fails."""
        for target in self._well:  # noqa: SIM110 - compiled, a generator costs several times as much
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
        now = self.clock()
        if self.waiting and now - self._let_in_at < LONGEST_PROBE:
            return False
        if not repeatable and self._out and min(target.health.overdue() for target in self._out) < self._longest():
            return False
        self._let_in_at = now
        return True

    def _due(self, *, repeatable: bool) -> LiveTarget | None:
        """Return a target that is to be probed by this request, one request at a time."""
        for target in self._out:
            health = target.health
            if health.due():
                health.probe()
            if health.state != PROBING or self._is_probed(health):
                continue
            # What cannot be repeated may be lost: it probes only where nothing else has come for long.
            if repeatable or health.overdue() >= self._longest():
                health.probe_under_way = health.probe_chosen = True
                health.probe_began = self.clock()
                return target
        return None

    def _is_probed(self, health: TargetHealth) -> bool:
        """Tell whether a probe is under way that may still tell something soon: a client may send it for ever."""
        return health.probe_under_way and self.clock() - health.probe_began < LONGEST_PROBE

    def _longest(self) -> float:
        return 0.0 if self.upstream.ejection is None else self.upstream.ejection.longest

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
                self._changed(target)
            return
        health.failed(f"an answer of {status}", now, status=status)
        if health.wants_out:
            self._judge(target)

    def failed(self, target: LiveTarget, what: str, now: float, *, unreachable: bool = False) -> None:
        """Take note of an attempt that failed at the target: no connection, a cut or invalid answer, no answer in time.

        ``unreachable`` says that it could not be connected to.
        """
        target.health.unreachable = unreachable
        target.health.failed(what, now)
        if target.health.wants_out:
            self._judge(target)

    def overtaken(self, target: LiveTarget, seconds: float, now: float) -> None:
        """Take note that a later attempt at another target was answered first, ``seconds`` after this one had begun."""
        target.health.overtaken(seconds, now)
        if target.health.wants_out:
            self._judge(target)

    def checked(self, target: LiveTarget, problem: str) -> None:
        """Take note of an active check, which was good if there is no ``problem``."""
        declared = self.upstream.health
        if declared is None:
            return
        health = target.health
        first = not health.checked
        changed = health.check_failed(problem, declared.fall) if problem else health.check_passed(declared.rise)
        if changed:
            self._changed(target)
        elif first and self.changed is not None:
            self.changed(self, target)  # others wait for that, too

    def _judge(self, target: LiveTarget) -> None:
        """Eject the target, or keep it in if too many are out, or if it is the last that is well."""
        if self.upstream.ejection is None or len(self.targets) < 2:
            target.health.wants_out = ""
            return
        if target.health.state == PROBING or self._may_go_out(target):
            target.health.eject(alone=not self._others_well(target))
        elif not target.health.keep():
            return
        self._changed(target)

    def _may_go_out(self, target: LiveTarget) -> bool:
        """Tell whether the others can do without the target, for what requests have told of it."""
        ejection = self.upstream.ejection
        if ejection is None or len(self.targets) < 2:
            return False
        others_out = sum(other is not target and other.health.state != IN for other in self.targets)
        return self._others_well(target) and others_out < ceil(ejection.most * len(self.targets))

    def _others_well(self, target: LiveTarget) -> bool:
        return any(
            other is not target
            and other.health.state == IN
            and not other.health.failing
            and not other.health.drained_since
            for other in self.targets
        )

    # --- what other workers of this machine tell ---

    def follow(self, target: LiveTarget, shared: Shared) -> None:
        """Take over what another worker tells of the target. ``changed`` is not called: nothing is told back.

        What keeps a target in here, however many are ill, holds for what others say as well.
        """
        health = target.health
        if isinstance(shared, DrainState):
            changed = health.follow_drain(shared)
        elif isinstance(shared, CheckState):
            changed = self.upstream.health is not None and health.follow_check(shared)
        elif not shared.out:
            changed = health.follow_in(shared)
        else:
            changed = self._follow_out(target, shared)
        if changed:
            self._refresh()
            _log.info(
                "upstream %s: another worker says of target %s: %s", self.upstream.name, target.name, health.says()
            )

    def _follow_out(self, target: LiveTarget, shared: Availability) -> bool:
        health = target.health
        if health.check_failing or self.upstream.ejection is None or len(self.targets) < 2:
            return False
        if health.state == OUT or self._may_go_out(target):
            health.follow_out(shared)
            return True
        health.wants_out = shared.reason
        return health.keep()

    # --- states ---

    def drain(self, address: str) -> None:
        """Let the target at ``address`` get no new requests; those under way go on. Raises LookupError if there is none."""
        target = self._at(address)
        if not target.health.drained_since:
            target.health.drain()
            _log.warning("upstream %s: target %s is drained: it gets no new requests", self.upstream.name, target.name)
            self._tell(target)

    def restore(self, address: str) -> None:
        """Let a drained target get requests again. Raises LookupError if there is none at ``address``."""
        target = self._at(address)
        if target.health.drained_since:
            target.health.restore()
            self._changed(target)

    def _at(self, address: str) -> LiveTarget:
        for target in self.targets:
            if address in (target.name, target.target.url):
                return target
        known = ", ".join(target.name for target in self.targets)
        raise LookupError(f"upstream {self.upstream.name!r} has no target {address!r}; it has {known}")

    def _changed(self, target: LiveTarget) -> None:
        if self._successor is None:
            self._log_state(target)
        self._tell(target)

    def _tell(self, target: LiveTarget) -> None:
        self._refresh()
        if self._successor is not None:
            self._successor.health_changed(target.health)
        elif self.changed is not None:
            self.changed(self, target)

    def health_changed(self, health: TargetHealth) -> None:
        """Take note that an exchange which began with the declaration before has changed the health of a target."""
        for target in self.targets:
            if target.health is health:
                self._changed(target)

    def _log_state(self, target: LiveTarget) -> None:
        health = target.health
        if health.state == OUT and health.due():
            _log.warning("upstream %s: target %s may return: %s", self.upstream.name, target.name, health.reason)
        elif health.state == OUT:
            _log.warning("upstream %s: target %s is out: %s", self.upstream.name, target.name, health.reason)
        elif health.failing:
            _log.warning("upstream %s: target %s fails, and is %s", self.upstream.name, target.name, health.reason)
        elif health.state == IN:
            _log.warning("upstream %s: target %s is well again", self.upstream.name, target.name)

    def _refresh(self) -> None:
        """Find out who may be picked: those that are well, or all in panic."""
        if self.only is not None:
            self._well, self._out, self.panic = [self.only], [], False
            return
        taking = [target for target in self.targets if not target.health.drained_since]
        well = [target for target in taking if target.health.state == IN]
        self._out = [target for target in taking if target.health.state != IN]
        for target in well:
            target.uneven = target.health.growing or target.weight != 1.0
        ejection = self.upstream.ejection
        panic = not well or (ejection is not None and len(well) < ejection.panic * len(taking))
        if panic != self.panic:
            self.panic = panic
            if panic:
                _log.error(
                    "upstream %s: panic: %d of %d targets are well, so all are used",
                    *(self.upstream.name, len(well), len(self.targets)),
                )
            else:
                _log.warning("upstream %s: enough targets are well again", self.upstream.name)
        self._well = list(taking or self.targets) if panic else well

    # --- connections ---

    async def connect(self, timeout: float | None) -> tuple[Pool, Connection]:
        """Return a connection, and the pool that it goes back to, for a request of the gateway's own.

        Targets that are well come first, and each is tried once. ``timeout`` is in seconds, for waiting and connecting
        together; None is no bound. Raises UpstreamError with ``sent`` False.
        """
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        candidates = self._random.sample(self._well, len(self._well))
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
        for target in self._well:
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
        self._successor = kept
        still = [] if kept is None else [target.pool for target in kept.targets]
        for target in self.targets:
            if target.pool not in still:
                target.pool.retire(self._retired)

    async def aclose(self) -> None:
        """Close every connection; exchanges still running, or waiting for one, end with a fault."""
        self.stop()
        if self._ending is not None:
            await self._ending.closed()
        for target in self.targets:
            await target.pool.aclose()

    def __repr__(self) -> str:
        """Show the current counts."""
        now = self.snapshot()
        return f"<LiveUpstream {now.name} {now.idle} idle {now.busy} busy {now.waiting} waiting>"


def _placed(upstream: Upstream, before: LiveUpstream | None) -> list[Target]:
    """Return the targets of ``upstream``, and for a name its addresses if they were known before."""
    found: list[Target] = []
    for target in upstream.addresses:
        places = [] if before is None else [one.target for one in before.targets if one.target.url == target.url]
        found += places or [target]
    return found
