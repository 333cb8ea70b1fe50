"""Attempts under any sequence of faults, answers, pauses and hedges of many exchanges at once.

Never an unsafe repetition, never the same target while another is well, never over the budget or over ``attempts``, never
past the deadline; and what may be done is done: each decision is compared with the rules, written down once more.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from attempting import Attempted, next_of
from limen import Ejection, Retry, Timeouts
from limen.errors import Fault, Kind
from limen.exchange.request import Request
from limen.pipeline.attempts import NEVER, Attempts
from limen.pipeline.target_attempt import TargetAttempt
from limen.testing import make_request
from limen.upstream.live_target import LiveTarget
from limen.upstream.target_health import IN
from targets import declared

METHODS = st.sampled_from(("GET", "GET", "PUT", "DELETE", "POST", "PATCH"))
SAFE = ("GET", "PUT", "DELETE")
WHICH = st.integers(0, 99)
STATUSES = st.sampled_from((200, 404, 500, 502, 503, 504))

# A fault, and whether something was sent, and whether on a connection that had served before.
FAULTS = st.sampled_from(
    (
        *(
            (Kind.UPSTREAM_REFUSED, False, False),
            (Kind.CONNECT_TIMEOUT, False, False),
            (Kind.UPSTREAM_TLS, False, False),
        ),
        *((Kind.POOL_EXHAUSTED, False, False), (Kind.UPSTREAM_CLOSED, False, True), (Kind.UPSTREAM_CLOSED, True, True)),
        *((Kind.UPSTREAM_CLOSED, True, False), (Kind.ANSWER_TIMEOUT, True, False), (Kind.ANSWER_TIMEOUT, True, True)),
        *((Kind.UPSTREAM_PROTOCOL, True, False), (Kind.UPSTREAM_TOO_LARGE, True, False), (Kind.SHUT_DOWN, True, False)),
    )
)
CONNECTING = (Kind.UPSTREAM_REFUSED, Kind.CONNECT_TIMEOUT, Kind.UPSTREAM_TLS)
OF_THE_TARGET = (Kind.UPSTREAM_CLOSED, Kind.ANSWER_TIMEOUT, Kind.UPSTREAM_PROTOCOL, Kind.UPSTREAM_TLS)


@dataclass
class Exchange:
    """One request, as the test sees it."""

    attempts: Attempts
    request: Request
    safe: bool
    began: float
    sent: bool = False  # by an attempt that is over, and may have been seen by the service
    stale: bool = False
    stays: bool = False  # at the last target, for the next attempt
    pausing: bool = False
    tried: list[LiveTarget] = field(default_factory=list[LiveTarget])
    running: list[TargetAttempt] = field(default_factory=list[TargetAttempt])


class AttemptsMachine(RuleBasedStateMachine):
    """What may happen, as rules."""

    @initialize(
        count=st.integers(1, 5),
        retry=st.sampled_from((Retry(), Retry(attempts=2, least=1), Retry(attempts=5, budget=0.5, backoff=1), None)),
        deadline=st.sampled_from((None, 1.0)),
        honours=st.booleans(),
        ejects=st.booleans(),
    )
    def begin(self, count: int, retry: Retry | None, deadline: float | None, honours: bool, ejects: bool) -> None:
        """A route."""
        upstream = declared(count, retry=retry, ejection=Ejection(faults=2, panic=0) if ejects else None)
        self.route = Attempted(upstream, timeouts=Timeouts(deadline=deadline), idempotency_key=honours)
        self.live = self.route.upstream
        self.retry = retry
        self.deadline = deadline
        self.honours = honours
        self.exchanges: list[Exchange] = []
        self.unreached: set[LiveTarget] = set()  # those to which one could not connect the last time

    # --- what happens ---

    @rule(method=METHODS, keys=st.integers(0, 2), times=st.integers(1, 6))
    def come(self, method: str, keys: int, times: int) -> None:
        """Requests begin."""
        request = make_request(method, headers=[("idempotency-key", f"k{key}") for key in range(keys)])
        safe = method in SAFE or (self.honours and keys == 1)
        for _ in range(times):
            exchange = Exchange(self.route.exchange(request), request, safe, self.route.time.seconds)
            self.exchanges.append(exchange)
            self._begin(exchange)

    @precondition(lambda self: bool(self.exchanges))
    @rule(which=WHICH, fault=FAULTS, replayable=st.sampled_from((True, True, True, False)))
    def fails(self, which: int, fault: tuple[Kind, bool, bool], replayable: bool) -> None:
        """An attempt fails; if another one goes on, that is waited for."""
        exchange = self._one(which)
        kind, sent, reused = fault
        if exchange.pausing:
            return

        def fail(trial: TargetAttempt) -> None:
            trial.failed(Fault(kind), reused=reused)
            if kind is Kind.UPSTREAM_CLOSED and reused:
                return
            if kind in CONNECTING:
                self.unreached.add(trial.target)
            elif kind in OF_THE_TARGET:
                self.unreached.discard(trial.target)

        self._end(exchange, which, fail)
        exchange.sent = exchange.sent or (sent and not reused)
        if exchange.running:
            return
        expected = self._after_fault(exchange, kind, sent=sent, reused=reused, replayable=replayable)
        stale = kind is Kind.UPSTREAM_CLOSED and sent and reused and exchange.safe and not exchange.stale
        free = not sent and (kind.stage == "connect" or kind is Kind.UPSTREAM_CLOSED)
        exchange.stays = (stale or (free and kind is Kind.UPSTREAM_CLOSED)) and not self._another(exchange)
        before = self.live.retrying
        pause = exchange.attempts.after_fault(Fault(kind), sent=sent, reused=reused, replayable=replayable)
        exchange.stale = exchange.stale or (stale and pause != NEVER)
        self._goes_on(exchange, pause, before, expected=expected, costs=not free and not stale and not self.live.only)
        if sent and not reused and pause != NEVER:
            assert exchange.safe, "an unsafe repetition"

    @precondition(lambda self: bool(self.exchanges))
    @rule(which=WHICH, status=STATUSES, replayable=st.sampled_from((True, True, False)))
    def is_answered(self, which: int, status: int, replayable: bool) -> None:
        """An attempt is answered: another one that goes on is overtaken, unless this is worse than to wait."""
        exchange = self._one(which)
        if exchange.pausing:
            return
        exchange.sent = True

        def answer(trial: TargetAttempt) -> None:
            trial.answered(status)
            trial.whole(status)
            self.unreached.discard(trial.target)

        self._end(exchange, which, answer)
        if exchange.running and exchange.attempts.is_failure(status):
            return
        for other in exchange.running:
            other.overtaken()
            other.end()
        exchange.running.clear()
        expected = self.retry is not None and status in self.retry.statuses and self._elsewhere(exchange, replayable)
        before = self.live.retrying
        pause = exchange.attempts.after_status(status, replayable=replayable)
        assert pause == NEVER or status in (502, 503, 504)
        self._goes_on(exchange, pause, before, expected=expected, costs=True)
        if pause != NEVER:
            assert exchange.safe, "an unsafe repetition"

    @precondition(lambda self: bool(self.exchanges))
    @rule(which=WHICH, replayable=st.booleans())
    def is_late(self, which: int, replayable: bool) -> None:
        """An answer does not come: another attempt may begin while this one goes on."""
        exchange = self._one(which)
        if exchange.pausing or len(exchange.running) != 1:
            return
        expected = self._elsewhere(exchange, replayable)
        assert exchange.attempts.may_hedge(replayable=replayable) is expected
        if expected:
            assert exchange.safe
            self._begin(exchange)

    @precondition(lambda self: any(exchange.pausing for exchange in self.exchanges))
    @rule(which=WHICH)
    def a_pause_is_over(self, which: int) -> None:
        """The next attempt begins."""
        pausing = [exchange for exchange in self.exchanges if exchange.pausing]
        exchange = pausing[which % len(pausing)]
        exchange.pausing = False
        self._begin(exchange)

    @precondition(lambda self: bool(self.exchanges))
    @rule(which=WHICH)
    def is_left(self, which: int) -> None:
        """The client leaves."""
        self._settle(self._one(which))

    @rule(seconds=st.sampled_from((0.01, 0.5, 3.0)))
    def passes(self, seconds: float) -> None:
        """Time passes."""
        self.route.time.seconds += seconds

    # --- what holds ---

    @invariant()
    def who_was_reached_is_known(self) -> None:
        """By the last attempt of which anything is known."""
        assert self.unreached == {target for target in self.live.targets if target.health.unreachable}

    @invariant()
    def counts_are_exact(self) -> None:
        """What runs, and what is about to."""
        if self.live.only is not None:
            assert (self.live.in_flight, self.live.retrying) == (0, 0)
            return
        assert self.live.in_flight == sum(len(exchange.running) for exchange in self.exchanges)
        again = sum(trial._number > 1 for exchange in self.exchanges for trial in exchange.running)  # pyright: ignore[reportPrivateUsage]
        reserved = sum(exchange.attempts._reserved for exchange in self.exchanges)  # pyright: ignore[reportPrivateUsage]
        assert self.live.retrying == again + reserved
        assert all(exchange.pausing for exchange in self.exchanges if exchange.attempts._reserved)  # pyright: ignore[reportPrivateUsage]

    @invariant()
    def attempts_are_bounded(self) -> None:
        """Whatever happens."""
        assert all(exchange.attempts.count <= 10 for exchange in self.exchanges)

    def teardown(self) -> None:
        """When all have ended nothing is left."""
        if hasattr(self, "exchanges"):
            while self.exchanges:
                self._settle(self.exchanges[0])
            assert (self.live.in_flight, self.live.retrying) == (0, 0)
            assert all(not target.in_flight and not target.health.probe_under_way for target in self.live.targets)

    # --- the rules, once more ---

    def _until(self, exchange: Exchange) -> float:
        """When attempts end: with the deadline, or with the time of the first one."""
        if self.deadline is not None:
            return exchange.began + self.deadline
        return inf if exchange.attempts.count < 2 else exchange.began + 2.0 + 30.0

    def _late(self, exchange: Exchange) -> bool:
        return self.route.time.seconds >= self._until(exchange)

    def _another(self, exchange: Exchange) -> bool:
        others = [target for target in self.live.targets if target not in exchange.tried]
        return any(target.health.state == IN and not target.health.failing for target in others)

    def _elsewhere(self, exchange: Exchange, replayable: bool) -> bool:
        """What may have been done may be done again: at another target that is well, within all bounds."""
        retry = self.retry
        if retry is None or not replayable or not exchange.safe or self.live.only is not None or self._late(exchange):
            return False
        budget = max(retry.least, retry.budget * self.live.in_flight)
        return self._another(exchange) and exchange.attempts.count < retry.attempts and self.live.retrying < budget

    def _after_fault(self, exchange: Exchange, kind: Kind, *, sent: bool, reused: bool, replayable: bool) -> bool:
        count = exchange.attempts.count
        if not replayable or count >= 10:
            return False
        if self.live.only is not None:
            if (self.deadline is not None and self._late(exchange)) or count >= 2:
                return False
            if kind in (Kind.UPSTREAM_REFUSED, Kind.CONNECT_TIMEOUT):
                return True
            return kind is Kind.UPSTREAM_CLOSED and (not sent or (reused and exchange.safe))
        if self._late(exchange):
            return False
        if not sent and kind.stage == "connect":
            return bool(self._reached(exchange))
        if kind is Kind.UPSTREAM_CLOSED and (not sent or (reused and exchange.safe and not exchange.stale)):
            return True
        return kind in OF_THE_TARGET and self._elsewhere(exchange, replayable)

    def _reached(self, exchange: Exchange) -> list[LiveTarget]:
        """Who may have what was never sent, well or not."""
        return [target for target in self.live.targets if target not in self.unreached and target not in exchange.tried]

    def _next(self, exchange: Exchange) -> list[LiveTarget]:
        """Who may have the next attempt, if it is not the first."""
        if exchange.stays:
            return exchange.tried[-1:]
        used = self._used()
        return [target for target in used if target not in exchange.tried] or self._reached(exchange) or used

    def _used(self) -> list[LiveTarget]:
        well = [target for target in self.live.targets if target.health.state == IN]
        return self.live.targets if self.live.panic else well

    # --- inside ---

    def _one(self, which: int) -> Exchange:
        return self.exchanges[which % len(self.exchanges)]

    def _begin(self, exchange: Exchange) -> None:
        attempts = exchange.attempts
        if self.live.only is not None:
            assert attempts.begin() is None
            assert attempts.time_to_connect() is not None  # as an engine asks at once: the deadline runs from here
            return
        others = self._next(exchange) if exchange.tried else self.live.targets
        exchange.stays = False
        trial = next_of(attempts)
        target = trial.target
        assert target in others, "the same target, or one that is out, while another is well"
        exchange.tried.append(target)
        exchange.running.append(trial)
        left = attempts.time_to_connect()
        assert left is not None
        assert 0 <= left <= 2.0
        if self.deadline is not None:
            assert left <= max(0.0, exchange.began + self.deadline - self.route.time.seconds) + 1e-9
        seconds = attempts.time_to_answer(30.0, replayable=True)
        assert seconds is not None
        assert 0 <= seconds <= 30.0

    def _end(self, exchange: Exchange, which: int, how: Callable[[TargetAttempt], None]) -> None:
        if exchange.running:
            trial = exchange.running.pop(which % len(exchange.running))
            how(trial)
            trial.end()

    def _goes_on(self, exchange: Exchange, pause: float, before: int, *, expected: bool, costs: bool) -> None:
        if pause == NEVER:
            retry = self.retry
            # A pause that would reach beyond the deadline is the only other reason.
            longest = 0.0 if retry is None else retry.backoff * 2 ** (exchange.attempts.count - 1)
            beyond = costs and self.route.time.seconds + longest >= self._until(exchange)
            assert not expected or beyond
            self._settle(exchange)
            return
        assert expected
        assert pause >= 0
        if costs:
            assert self.retry is not None
            assert exchange.attempts.count < self.retry.attempts, "over the attempts"
            assert before < max(self.retry.least, self.retry.budget * self.live.in_flight), "over the budget"
            assert self.live.retrying == before + 1
            assert self.route.time.seconds + pause < self._until(exchange), "past the deadline"
        exchange.pausing = True

    def _settle(self, exchange: Exchange) -> None:
        for trial in exchange.running:
            trial.whole(0)
            trial.end()
        exchange.running.clear()
        exchange.attempts.give_up()
        self.exchanges.remove(exchange)


TestAttempts = AttemptsMachine.TestCase
