"""An upstream under any sequence of requests and their ends, checks, drains, new lists of targets and compiles.

After every step: no ejected target is picked while a well one that was not tried exists, the cap holds for all but those
that are probed, and what is counted is exact.
"""

from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from limen import Ejection, Hash, Health, LeastRequests, Limits, RoundRobin, Sticky, Upstream
from limen.exchange.request import Request
from limen.testing import make_request
from limen.upstream.balance import header
from limen.upstream.live import LiveUpstream
from limen.upstream.live_target import LiveTarget
from limen.upstream.target import Target
from limen.upstream.target_health import IN, OUT, PROBING
from targets import Time, live

NUMBERS = st.integers(1, 6)
BALANCES = st.sampled_from((LeastRequests(), RoundRobin(), Hash(header("x-key")), Sticky()))
EJECTIONS = st.sampled_from(
    (Ejection(), Ejection(faults=1, most=1, panic=0), Ejection(faults=2, most=0.3, probes=1), None)
)
CHECKS = st.sampled_from((None, Health("/", fall=2)))
WHICH = st.integers(0, 99)


@dataclass
class Attempt:
    """One that is under way, at the upstream as it was when it began."""

    upstream: LiveUpstream
    target: LiveTarget
    again: bool
    probe: bool


class UpstreamMachine(RuleBasedStateMachine):
    """What may happen, as rules."""

    @initialize(numbers=st.sets(NUMBERS, min_size=1), balance=BALANCES, ejection=EJECTIONS, health=CHECKS, seed=WHICH)
    def begin(
        self, numbers: set[int], balance: Any, ejection: Ejection | None, health: Health | None, seed: int
    ) -> None:
        """Some targets."""
        self.time = Time()
        self.random = Random(seed)
        self.parts: dict[str, Any] = {"balance": balance, "ejection": ejection, "health": health}
        self.upstream = live(self._declared(numbers), self.time, self.random)
        self.running: list[Attempt] = []

    # --- requests ---

    @rule(key=st.integers(0, 5), bound=st.booleans(), repeatable=st.booleans(), count=st.integers(1, 3))
    def comes(self, key: int, bound: bool, repeatable: bool, count: int) -> None:
        """A request begins its first attempt, and perhaps further ones at the same time."""
        tried: list[LiveTarget] = []
        for _ in range(count):
            tried.append(self._begin(self._request(key, bound), tried, repeatable=repeatable))

    @precondition(lambda self: bool(self.running))
    @rule(
        which=WHICH,
        status=st.sampled_from((0, 200, 200, 404, 500, 503)),
        overtaken=st.booleans(),
        unreachable=st.booleans(),
    )
    def ends(self, which: int, status: int, overtaken: bool, unreachable: bool) -> None:
        """An attempt ends: answered, failed, or overtaken."""
        attempt = self._taken(which)
        upstream, target, now = attempt.upstream, attempt.target, self.time.seconds
        before = self._states()
        if status:
            upstream.answered(target, status, now)
        elif overtaken:
            upstream.overtaken(target, 0.5, now)
        else:
            upstream.failed(target, "refused", now, unreachable=unreachable)
        upstream.ended(target, again=attempt.again, probe=attempt.probe)
        if upstream is self.upstream:
            self._judged_well(before, failed=status == 0 or status >= 500)

    @precondition(lambda self: bool(self.running))
    @rule(which=WHICH)
    def is_given_up(self, which: int) -> None:
        """An attempt ends without a result."""
        attempt = self._taken(which)
        attempt.upstream.ended(attempt.target, again=attempt.again, probe=attempt.probe)

    @rule(which=WHICH, times=st.integers(1, 4))
    def fails_often(self, which: int, times: int) -> None:
        """A target has had enough failures to be ejected."""
        target = self.upstream.targets[which % len(self.upstream.targets)]
        for _ in range(times):
            before = self._states()
            self.upstream.failed(target, "refused", self.time.seconds)
            self._judged_well(before, failed=True)

    # --- checks, people, time ---

    @rule(which=WHICH, good=st.booleans(), times=st.integers(1, 3))
    def is_checked(self, which: int, good: bool, times: int) -> None:
        """A target is checked."""
        for _ in range(times):
            self.upstream.checked(self.upstream.targets[which % len(self.upstream.targets)], "" if good else "refused")

    @rule(which=WHICH, drained=st.booleans())
    def is_drained(self, which: int, drained: bool) -> None:
        """People drain and restore."""
        name = self.upstream.targets[which % len(self.upstream.targets)].name
        if drained:
            self.upstream.drain(name)
        else:
            self.upstream.restore(name)

    @rule(seconds=st.sampled_from((0.1, 1.0, 2.0, 12.0)))
    def passes(self, seconds: float) -> None:
        """Time passes."""
        self.time.seconds += seconds

    # --- other targets, other declarations ---

    @rule(numbers=st.sets(NUMBERS, min_size=1))
    def moves(self, numbers: set[int]) -> None:
        """There are other targets: those that stay keep their state."""
        self._keeps_state(lambda: self.upstream.retarget([self._target(number) for number in sorted(numbers)]))

    @rule(
        numbers=st.sets(NUMBERS, min_size=1),
        balance=BALANCES,
        ejection=EJECTIONS,
        health=CHECKS,
        limits=st.sampled_from((Limits(), Limits(connections=2))),
        fails=st.booleans(),
    )
    def is_compiled(
        self, numbers: set[int], balance: Any, ejection: Any, health: Any, limits: Limits, fails: bool
    ) -> None:
        """The table is compiled again, and perhaps in vain."""
        was, parts = self.upstream, self.parts
        self.parts = {"balance": balance, "ejection": ejection, "health": health, "limits": limits}
        known = [
            (target, target.weight, target.uneven, target.health.state, target.health.until) for target in was.targets
        ]
        made = live(self._declared(numbers), self.time, self.random, before=was)
        assert known == [
            (target, target.weight, target.uneven, target.health.state, target.health.until) for target in was.targets
        ]
        if fails:
            self.parts = parts
            return

        def commit() -> None:
            made.activate()
            was.retire(made)
            self.upstream = made

        self._keeps_state(commit)

    # --- what holds ---

    @invariant()
    def counts_are_exact(self) -> None:
        """Whatever is counted is what runs."""
        own = [attempt for attempt in self.running if attempt.upstream is self.upstream]
        assert self.upstream.in_flight == len(own)
        assert self.upstream.retrying == sum(attempt.again for attempt in own)
        for target in self.upstream.targets:
            assert target.in_flight == sum(attempt.target is target for attempt in self.running)

    @invariant()
    def one_probe_at_a_time(self) -> None:
        """A probe is under way exactly where one runs."""
        for target in self.upstream.targets:
            probes = sum(one.probe for one in self.running if one.target.health is target.health)
            assert probes == target.health.probe_under_way
            assert not target.health.probe_chosen

    @invariant()
    def panic_is_when_too_few_are_well(self) -> None:
        """All are used then, and only then."""
        upstream, ejection = self.upstream, self.upstream.upstream.ejection
        if upstream.only is not None:
            assert not upstream.panic
            return
        taking = [target for target in upstream.targets if not target.health.drained_since]
        well = [target for target in taking if target.health.state == IN]
        assert upstream.panic is (not well or (ejection is not None and len(well) < ejection.panic * len(taking)))
        assert upstream.reachable([]) is any(not target.health.unreachable for target in taking)
        used = [target for target in taking or upstream.targets if target.health.state == IN]
        assert upstream.another([]) is any(not target.health.failing for target in used)

    @invariant()
    def who_is_out_has_a_reason(self) -> None:
        """And what wants out is decided at once."""
        for target in self.upstream.targets:
            assert bool(target.health.reason) is (target.health.state != IN or target.health.failing)
            assert not target.health.wants_out

    def teardown(self) -> None:
        """Whatever has happened: with good answers and time all come back."""
        if not hasattr(self, "upstream"):
            return
        while self.running:
            self.is_given_up(0)
        upstream = self.upstream
        for target in upstream.targets:
            upstream.restore(target.name)
            upstream.checked(target, "")
            upstream.checked(target, "")
        self.time.seconds += 30
        for _ in range(60 * len(upstream.targets)):
            target = self._begin(self._request(0, False), [], repeatable=True)
            attempt = self._taken(-1)
            upstream.answered(target, 200, self.time.seconds)
            upstream.ended(target, again=False, probe=attempt.probe)
        if upstream.only is None:
            assert [target.health.state for target in upstream.targets] == [IN] * len(upstream.targets)
        self.counts_are_exact()

    # --- inside ---

    def _target(self, number: int) -> Target:
        return Target.parse(f"http://10.0.0.{number}:8000")

    def _declared(self, numbers: set[int]) -> Upstream:
        return Upstream("svc", [self._target(number).url for number in sorted(numbers)], **self.parts)

    def _request(self, key: int, bound: bool) -> Request:
        target = self.upstream.targets[key % len(self.upstream.targets)]
        cookies = [("cookie", f"limen-target={target.cookie.decode()}")] if bound else []
        return make_request(headers=[("x-key", str(key)), *cookies])

    def _begin(self, request: Request, tried: list[LiveTarget], *, repeatable: bool) -> LiveTarget:
        upstream = self.upstream
        well = [one for one in upstream.targets if one.health.state == IN and not one.health.drained_since]
        panic = upstream.panic
        target = upstream.choose(request, tried, repeatable=repeatable)
        probe = upstream.began(target, again=bool(tried))
        self.running.append(Attempt(upstream, target, bool(tried), probe))
        assert target in upstream.targets
        if upstream.only is not None:
            assert not probe
            return target
        health = target.health
        if probe:
            assert health.state == PROBING
            assert not tried
            assert not health.check_failing
            assert not health.drained_since
            if not repeatable:
                longest = 0.0 if upstream.upstream.ejection is None else upstream.upstream.ejection.longest
                assert health.overdue() >= longest
        elif tried:
            assert target in self._others(tried, panic=panic), (
                "the same target or one that is out, while another is well"
            )
        elif well and not panic:
            assert health.state == IN, "an ejected target, while a well one exists"
            named = upstream.sticky is not None and upstream.sticky.named([target], request) is target
            assert not health.drained_since or named
        return target

    def _others(self, tried: list[LiveTarget], *, panic: bool) -> list[LiveTarget]:
        """Who may have another attempt: who is well, else who was reached the last time, else anybody who is well."""
        taking = [one for one in self.upstream.targets if not one.health.drained_since]
        used = (taking or self.upstream.targets) if panic else [one for one in taking if one.health.state == IN]
        untried = [one for one in used if one not in tried]
        reached = [one for one in taking if one not in tried and not one.health.unreachable]
        return untried or reached or used

    def _taken(self, which: int) -> Attempt:
        return self.running.pop(which % len(self.running) if which >= 0 else which)

    def _states(self) -> dict[LiveTarget, int]:
        return {target: target.health.state for target in self.upstream.targets}

    def _judged_well(self, before: dict[LiveTarget, int], *, failed: bool) -> None:
        """What has been ejected just now was one: probed, or within the cap and not the last that was well."""
        upstream = self.upstream
        ejected = [target for target, state in self._states().items() if state == OUT != before[target]]
        if not ejected:
            return
        ejection = upstream.upstream.ejection
        assert failed
        assert ejection is not None
        (target,) = ejected
        others_well = any(
            target.health.state == IN and not target.health.failing and not target.health.drained_since
            for target in upstream.targets
        )
        if before[target] == PROBING:
            longest = ejection.longest if others_well else ejection.seconds
            assert target.health.until - self.time.seconds <= longest
            return
        assert others_well
        count = sum(target.health.state != IN for target in upstream.targets)
        assert count <= ceil(ejection.most * len(upstream.targets))

    def _keeps_state(self, change: Any) -> None:
        """All stay as they are, but for those that are out because of checks that there are none of any more."""
        before = {one.target.key: (one.health, one.health.state, one.health.reason) for one in self.upstream.targets}
        failing = {one.target.key for one in self.upstream.targets if one.health.check_failing}
        change()
        for target in self.upstream.targets:
            health, key = target.health, target.target.key
            was = before.get(key)
            if was is not None and key in failing and self.upstream.upstream.health is None:
                was = (was[0], IN, "")
            assert was is None or was == (health, health.state, health.reason)


TestUpstream = UpstreamMachine.TestCase
