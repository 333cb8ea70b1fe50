"""The state of one target under any sequence of answers, faults, checks, time and decisions of the fleet."""

from math import inf
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from limen import Ejection
from limen.upstream.target_health import IN, OUT, PROBING, TargetHealth
from targets import Time

STATUSES = st.sampled_from((0, 500, 502, 503, 504, 599))


class HealthMachine(RuleBasedStateMachine):
    """What may happen, as rules. A reason to go out is followed by the fleet's decision at once, as ``LiveUpstream`` does."""

    @initialize(
        faults=st.integers(1, 4),
        errors=st.integers(1, 6),
        probes=st.integers(1, 3),
        seconds=st.sampled_from((0.5, 2.0)),
        longest=st.sampled_from((2.0, 10.0)),
        checked=st.booleans(),
        seed=st.integers(0, 3),
    )
    def begin(
        self, faults: int, errors: int, probes: int, seconds: float, longest: float, checked: bool, seed: int
    ) -> None:
        """A target with rules of its own, with or without checks."""
        self.ejection = Ejection(
            faults=faults, errors=errors, probes=probes, seconds=seconds, longest=longest, volume=8
        )
        self.time = Time()
        self.health = TargetHealth(self.ejection, self.time.clock, self.time.now, Random(seed))
        self.checked = checked
        self.row = 0  # failures since the last success, or since it went out
        self.overtaken_at = 0.0
        self.before = IN

    # --- requests ---

    @rule()
    def succeeds(self) -> None:
        """An answer that is no failure."""
        health = self.health
        was = (health.state, health.failing)
        changed = health.succeeded(self.time.seconds)
        assert changed is (was != (health.state, health.failing))
        self.row = 0

    @rule(status=STATUSES, keep=st.booleans())
    def fails(self, status: int, keep: bool) -> None:
        """No answer, or one of 5xx."""
        self.row += 1
        self.health.failed("what happened", self.time.seconds, status=status)
        self._decide(keep)

    @rule(seconds=st.sampled_from((0.05, 0.1, 2.0)), keep=st.booleans())
    def is_overtaken(self, seconds: float, keep: bool) -> None:
        """Another target was faster: that counts unless this attempt began before the last one was counted."""
        now = self.time.seconds
        if self.health.state != OUT and now - seconds >= self.overtaken_at:
            self.row += 1
            self.overtaken_at = now
        self.health.overtaken(seconds, now)
        self._decide(keep)

    @precondition(lambda self: self.health.due())
    @rule()
    def is_probed(self) -> None:
        """A request comes, and it is due."""
        assert self.time.seconds >= self.health.until
        self.health.probe()
        self.row = 0

    # --- checks, people, time ---

    @precondition(lambda self: self.checked)
    @rule(good=st.booleans())
    def is_checked(self, good: bool) -> None:
        """An active check."""
        health = self.health
        was = (health.state, health.until)
        changed = health.check_passed(2) if good else health.check_failed("refused", 3)
        assert changed is (was != (health.state, health.until))
        if good:
            assert health.state == was[0], "a good check alone sends no request there"

    @precondition(lambda self: self.checked)
    @rule()
    def checks_end(self) -> None:
        """The declaration has no checks any more: who was out because of them comes in, and nobody else."""
        was, failing = self.health.state, self.health.check_failing
        self.health.unchecked()
        assert self.health.state == (IN if failing else was)
        self.before = self.health.state
        self.checked = False

    @rule(drained=st.booleans())
    def is_drained(self, drained: bool) -> None:
        """People drain and restore: that leaves the state as it is."""
        state = self.health.state
        if drained:
            self.health.drain()
        else:
            self.health.restore()
        assert (self.health.state, bool(self.health.drained_since)) == (state, drained)

    @rule(seconds=st.sampled_from((0.1, 0.5, 2.0, 5.0, 30.0)))
    def passes(self, seconds: float) -> None:
        """Time passes."""
        self.time.seconds += seconds

    # --- what holds ---

    @invariant()
    def the_state_is_one_of_three_and_has_a_reason_and_a_time(self) -> None:
        health = self.health
        assert health.state in (IN, OUT, PROBING)
        assert bool(health.reason) is (health.state != IN or health.failing)
        assert 0 < health.since <= self.time.now()
        assert health.wants_out == "", "what wants out is decided at once"

    @invariant()
    def without_checks_it_is_never_out_for_longer_than_the_longest(self) -> None:
        health = self.health
        if health.check_failing:
            assert (health.state, health.until) == (OUT, inf)
        elif health.state == OUT:
            assert health.until <= self.time.seconds + self.ejection.longest
            if self.time.seconds >= health.until:
                assert health.due()

    @invariant()
    def while_there_are_checks_it_goes_from_out_to_in_by_probing_alone(self) -> None:
        assert (self.before, self.health.state) != (OUT, IN)
        self.before = self.health.state

    @invariant()
    def its_share_is_a_share(self) -> None:
        share = self.health.share()
        assert 0.1 <= share <= 1.0
        assert self.health.growing is (share < 1.0)

    @invariant()
    def who_fails_and_is_in_has_not_yet_failed_often_or_is_kept(self) -> None:
        if self.health.state == IN and not self.health.failing:
            # Not more than of each kind together: no answer, errors, overtaken.
            assert self.row < self.ejection.faults + self.ejection.errors + self.ejection.overtaken

    # --- inside ---

    def _decide(self, keep: bool) -> None:
        health = self.health
        if not health.wants_out:
            return
        if keep and health.state == IN:
            health.keep()
            assert (health.state, health.failing) == (IN, True)
        else:
            was = self.time.seconds
            health.eject(alone=keep)  # a probe that fails, where nobody else is well
            assert health.state == OUT
            longest = self.ejection.seconds if keep else self.ejection.longest
            assert 0.75 * self.ejection.seconds <= health.until - was <= longest
            self.row = 0


TestHealth = HealthMachine.TestCase
