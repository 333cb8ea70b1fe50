"""Which attempt follows which: when, within which time, and what the target hears of it."""

from collections.abc import Callable
from typing import Any

import pytest

from attempting import Attempted, next_of
from limen import Ejection, Health, Hedge, Retry, RoundRobin, Sticky, Timeouts
from limen.errors import Fault, Kind
from limen.exchange.attempt import AttemptResult
from limen.exchange.hooks import Hooks
from limen.exchange.request import Request
from limen.http.headers import Headers
from limen.pipeline.attempts import NEVER, Attempts, has_key
from limen.pipeline.target_attempt import TargetAttempt
from limen.testing import make_request
from limen.upstream.live_target import LiveTarget
from limen.upstream.target_health import IN, OUT, PROBING
from targets import GET, Loaded, declared, fail

POST = make_request("POST")
KEYED = make_request("POST", headers=[("idempotency-key", "k1")])
REFUSED, CUT, LATE = Fault(Kind.UPSTREAM_REFUSED), Fault(Kind.UPSTREAM_CLOSED), Fault(Kind.ANSWER_TIMEOUT)
IN_TURN = RoundRobin()


def refused(attempts: Attempts, trial: TargetAttempt | None, *, replayable: bool = True) -> float:
    """End the attempt: no connection, so that nothing was sent."""
    return ended(attempts, trial, REFUSED, sent=False, replayable=replayable)


def ended(
    attempts: Attempts,
    trial: TargetAttempt | None,
    fault: Fault,
    *,
    sent: bool = True,
    reused: bool = False,
    replayable: bool = True,
) -> float:
    if trial is not None:
        trial.failed(fault, reused=reused)
        trial.end()
    return attempts.after_fault(fault, sent=sent, reused=reused, replayable=replayable)


def answered(attempts: Attempts, trial: TargetAttempt, status: int, *, replayable: bool = True) -> float:
    trial.answered(status)
    trial.whole(status)
    trial.end()
    return attempts.after_status(status, replayable=replayable)


# --- one target ---


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
def test_at_the_only_target_what_was_never_sent_is_tried_once_more(request_: Request) -> None:
    for kind in (Kind.UPSTREAM_REFUSED, Kind.CONNECT_TIMEOUT, Kind.UPSTREAM_CLOSED):
        attempts = Attempted(declared(1)).exchange(request_)
        assert attempts.begin() is None
        assert ended(attempts, None, Fault(kind), sent=False, reused=True) == 0.0
        assert attempts.begin() is None
        assert ended(attempts, None, Fault(kind), sent=False, reused=True) == NEVER
        assert attempts.count == 2


@pytest.mark.parametrize(
    ("request_", "key", "again"), [(GET, False, 0.0), (POST, True, NEVER), (KEYED, True, 0.0), (KEYED, False, NEVER)]
)
def test_at_the_only_target_a_connection_that_was_closed_meanwhile(request_: Request, key: bool, again: float) -> None:
    attempts = Attempted(declared(1), idempotency_key=key).exchange(request_)
    attempts.begin()
    assert ended(attempts, None, CUT, reused=True) == again
    attempts.begin()
    assert ended(attempts, None, CUT, reused=True) == NEVER


def test_at_the_only_target_nothing_else_is_tried_again() -> None:
    attempts = Attempted(declared(1)).exchange()
    attempts.begin()
    for kind in (Kind.UPSTREAM_TLS, Kind.POOL_EXHAUSTED):
        assert attempts.after_fault(Fault(kind), sent=False, reused=False, replayable=True) == NEVER
    for kind in (Kind.UPSTREAM_CLOSED, Kind.ANSWER_TIMEOUT, Kind.UPSTREAM_PROTOCOL):
        assert attempts.after_fault(Fault(kind), sent=True, reused=False, replayable=True) == NEVER
    assert attempts.after_fault(REFUSED, sent=False, reused=False, replayable=False) == NEVER
    assert attempts.after_status(503, replayable=True) == NEVER
    assert not attempts.may_hedge(replayable=True)
    assert (attempts.most_kept(), attempts.time_to_answer(30.0, replayable=True)) == (0, 30.0)
    assert attempts.time_to_connect() == 2.0


# --- at which target ---


def test_each_attempt_is_at_another_target_and_the_outcome_says_which() -> None:
    route = Attempted(declared(3, balance=IN_TURN))
    attempts, trial = route.begun()
    names: list[str] = []
    for count in (1, 2, 3):
        names.append(trial.target.name)
        assert attempts._outcome.attempts == attempts.count == count  # pyright: ignore[reportPrivateUsage]
        assert attempts._outcome.target == trial.target.name  # pyright: ignore[reportPrivateUsage]
        again = answered(attempts, trial, 503)
        if again != NEVER:
            trial = next_of(attempts)
    assert len(set(names)) == 3
    assert repr(attempts) == f"<Attempts 3 {' '.join(names)}>"
    assert again == NEVER


def test_what_was_never_sent_is_tried_at_each_other_target_whatever_the_method_and_the_rules() -> None:
    for parts in ({}, {"retry": None}, {"retry": Retry(attempts=1)}, {"retry": Retry(budget=0, least=0)}):
        route = Attempted(declared(6, ejection=None, **parts))
        attempts, trial = route.begun(POST)
        tried = {trial.target}
        while refused(attempts, trial) == 0.0:
            trial = next_of(attempts)
            tried.add(trial.target)
        assert tried == set(route.upstream.targets)
        assert attempts.count == 6


def test_there_are_at_most_ten_attempts() -> None:
    attempts, trial = Attempted(declared(20, ejection=None)).begun()
    while refused(attempts, trial) == 0.0:
        trial = next_of(attempts)
    assert attempts.count == 10


def test_a_full_queue_of_one_target_is_none_of_another() -> None:
    route = Attempted(declared(2))
    attempts, trial = route.begun(POST)
    assert ended(attempts, trial, Fault(Kind.POOL_EXHAUSTED), sent=False) == 0.0
    assert next_of(attempts).target is not trial.target
    assert all(target.health.reason == "" for target in route.upstream.targets)


def test_an_attempt_that_was_put_off_was_none() -> None:
    route = Attempted(declared(2))
    attempts, trial = route.begun()
    attempts.put_off(trial)
    assert (attempts.count, route.upstream.in_flight, attempts._tried) == (0, 0, [])  # pyright: ignore[reportPrivateUsage]
    assert next_of(attempts)
    only = Attempted(declared(1)).exchange()
    only.put_off(only.begin())
    assert only.count == 0


# --- what may be repeated ---


SAFE = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE")


@pytest.mark.parametrize("method", [*SAFE, "POST", "PATCH", "CONNECT", "get", "X"])
def test_idempotent_methods_are_repeated_and_no_others(method: str) -> None:
    safe = method in SAFE
    ends: list[Callable[[Attempts, TargetAttempt], float]] = [
        lambda attempts, trial: answered(attempts, trial, 503),
        lambda attempts, trial: ended(attempts, trial, CUT),
        lambda attempts, trial: ended(attempts, trial, CUT, reused=True),
        lambda attempts, trial: ended(attempts, trial, LATE),
    ]
    for end in ends:
        attempts, trial = Attempted(declared(2)).begun(make_request(method))
        assert (end(attempts, trial) != NEVER) is safe
        assert attempts.repeatable is safe
        assert attempts.most_kept() == (65536 if safe else 0)


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ([("idempotency-key", "k")], True),
        ([("Idempotency-Key", "k")], True),
        ([], False),
        ([("idempotency-key", "")], False),
        ([("idempotency-key", "k"), ("idempotency-key", "k")], False),
    ],
)
def test_a_key_makes_a_request_repeatable_where_the_route_says_so(headers: list[tuple[str, str]], known: bool) -> None:
    request = make_request("POST", headers=headers)
    assert has_key(request) is known
    for honoured in (True, False):
        attempts, trial = Attempted(declared(2), idempotency_key=honoured).begun(request)
        assert (answered(attempts, trial, 503) != NEVER) is (known and honoured)


def test_a_body_that_is_not_at_hand_any_more_is_not_repeated() -> None:
    for sent in (True, False):
        attempts, trial = Attempted(declared(2)).begun()
        assert ended(attempts, trial, CUT if sent else REFUSED, sent=sent, replayable=False) == NEVER
    attempts, trial = Attempted(declared(2)).begun()
    assert answered(attempts, trial, 503, replayable=False) == NEVER
    assert not attempts.may_hedge(replayable=False)


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
def test_faults_of_the_target_are_repeated_and_those_of_the_content_or_of_others_are_not(kind: Kind) -> None:
    attempts, trial = Attempted(declared(2)).begun()
    again = ended(attempts, trial, Fault(kind)) != NEVER
    of_the_content = kind in (Kind.UPSTREAM_TOO_LARGE, Kind.UPSTREAM_CONTRACT)
    assert again is (kind.source == "upstream" and not of_the_content)


@pytest.mark.parametrize("statuses", [(502, 503, 504), (500,), ()])
def test_the_statuses_that_are_repeated(statuses: tuple[int, ...]) -> None:
    for status in (200, 404, 429, 500, 502, 503, 504, 599):
        attempts, trial = Attempted(declared(2, retry=Retry(statuses=statuses))).begun()
        assert attempts.is_failure(status) is (status in statuses)
        assert (answered(attempts, trial, status) != NEVER) is (status in statuses)
    without = Attempted(declared(2, retry=None)).exchange()
    assert not without.is_failure(503)


def test_a_connection_that_was_closed_meanwhile_costs_no_budget_and_only_once() -> None:
    route = Attempted(declared(2, retry=Retry(budget=0, least=0)))
    attempts, trial = route.begun()
    assert ended(attempts, trial, CUT, reused=True) == 0.0
    trial = next_of(attempts)
    assert ended(attempts, trial, CUT, reused=True) == NEVER
    assert all(target.health.reason == "" for target in route.upstream.targets)
    # Before anything was written it is as if nothing had happened.
    attempts, trial = route.begun(POST)
    for _ in range(9):
        assert ended(attempts, trial, CUT, sent=False, reused=True) == 0.0
        trial = next_of(attempts)
    assert ended(attempts, trial, CUT, sent=False, reused=True) == NEVER


def test_nothing_is_repeated_where_no_other_target_is_well() -> None:
    route = Attempted(declared(3))
    one, other, _ = route.upstream.targets
    fail(route.upstream, one)
    fail(route.upstream, other)
    attempts, trial = route.begun()
    assert answered(attempts, trial, 503) == NEVER


def test_what_was_never_sent_goes_on_to_those_that_are_out_but_were_reached() -> None:
    route = Attempted(declared(3))
    one, other, well = route.upstream.targets
    fail(route.upstream, one)
    for _ in range(3):
        route.upstream.failed(other, "refused", route.time.seconds, unreachable=True)
    attempts, trial = route.begun(POST)
    assert trial.target is well
    assert refused(attempts, trial) == 0.0
    trial = next_of(attempts)
    assert (trial.target, one.health.state) == (one, OUT)
    assert refused(attempts, trial) == NEVER, "nobody could connect to the third one"
    assert (well.health.unreachable, one.health.unreachable) == (True, True)


def test_an_answer_or_a_fault_of_another_stage_says_that_it_was_reached() -> None:
    ends: list[Callable[[Attempts, TargetAttempt], float]] = [
        lambda attempts, trial: answered(attempts, trial, 200),
        lambda attempts, trial: answered(attempts, trial, 503),
        lambda attempts, trial: ended(attempts, trial, LATE),
    ]
    for end in ends:
        attempts, trial = Attempted(declared(2)).begun()
        trial.target.health.unreachable = True
        end(attempts, trial)
        assert not trial.target.health.unreachable


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "unsent"])
def test_after_a_stale_connection_the_last_target_is_asked_again_where_no_other_is_well(sent: bool) -> None:
    route = Attempted(declared(3))
    one, other, well = route.upstream.targets
    fail(route.upstream, one)
    fail(route.upstream, other)
    attempts, trial = route.begun()
    assert ended(attempts, trial, CUT, sent=sent, reused=True) == 0.0
    assert next_of(attempts).target is trial.target is well


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "unsent"])
def test_after_a_stale_connection_another_target_is_asked_while_one_is_well(sent: bool) -> None:
    attempts, trial = Attempted(declared(2)).begun()
    assert ended(attempts, trial, CUT, sent=sent, reused=True) == 0.0
    assert next_of(attempts).target is not trial.target


def test_without_retry_nothing_that_was_sent_is_repeated() -> None:
    attempts, trial = Attempted(declared(3, retry=None)).begun()
    assert answered(attempts, trial, 503) == NEVER
    assert attempts.after_fault(CUT, sent=True, reused=False, replayable=True) == NEVER
    assert not attempts.may_hedge(replayable=True)
    assert (attempts.hedge_after(trial), attempts.most_kept()) == (0.0, 0)


# --- pauses, attempts, budget ---


@pytest.mark.parametrize("dice", [0.0, 0.5, 0.999])
def test_pauses_are_random_and_doubled(dice: float) -> None:
    route = Attempted(declared(6, retry=Retry(attempts=6, backoff=0.1), ejection=None), random=Loaded(dice))
    attempts, trial = route.begun()
    pauses: list[float] = []
    while (pause := answered(attempts, trial, 503)) != NEVER:
        pauses.append(pause)
        trial = next_of(attempts)
    assert pauses == pytest.approx([dice * seconds for seconds in (0.1, 0.2, 0.4, 0.8, 1.6)])


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_attempts_are_bounded(most: int) -> None:
    attempts, trial = Attempted(declared(8, retry=Retry(attempts=most), ejection=None)).begun()
    while answered(attempts, trial, 503) != NEVER:
        trial = next_of(attempts)
    assert attempts.count == most


def test_retries_at_once_are_a_share_of_what_is_under_way_from_their_decision_on() -> None:
    """All fail at the same time: a retry that waits for its turn has its place already."""
    route = Attempted(declared(3, retry=Retry(budget=0.2, least=1), ejection=None))
    under_way = [route.begun() for _ in range(50)]
    granted = [attempts for attempts, trial in under_way if answered(attempts, trial, 503) != NEVER]
    # The more of them have ended, the fewer are under way.
    assert len(granted) == 9
    assert (route.upstream.in_flight, route.upstream.retrying) == (0, 9)
    trials = [next_of(attempts) for attempts in granted]
    assert (route.upstream.in_flight, route.upstream.retrying) == (9, 9)
    for trial in trials:
        trial.end()
    assert (route.upstream.in_flight, route.upstream.retrying) == (0, 0)


@pytest.mark.parametrize(
    ("least", "budget", "granted"), [(3, 0.0, 3), (0, 0.0, 0), (0, 1.0, 10), (2, 0.3, 3), (4, 0.3, 4)]
)
def test_the_budget_has_a_least(least: int, budget: float, granted: int) -> None:
    route = Attempted(declared(2, retry=Retry(budget=budget, least=least, attempts=10), ejection=None))
    others = [route.begun() for _ in range(10)]
    count = 0
    for _ in range(20):
        attempts, trial = route.begun()
        count += answered(attempts, trial, 503) != NEVER
    assert (count, len(others)) == (granted, 10)


def test_a_retry_that_never_begins_gives_its_place_back_once() -> None:
    route = Attempted(declared(2))
    attempts, trial = route.begun()
    assert answered(attempts, trial, 503) != NEVER
    assert route.upstream.retrying == 1
    attempts.give_up()
    attempts.give_up()
    assert route.upstream.retrying == 0
    attempts, trial = route.begun()
    answered(attempts, trial, 503)
    next_of(attempts).end()
    attempts.give_up()
    assert (route.upstream.retrying, route.upstream.in_flight) == (0, 0)


# --- time ---


def test_the_deadline_ends_attempts() -> None:
    route = Attempted(declared(3), timeouts=Timeouts(deadline=1.0))
    attempts, trial = route.begun()
    route.time.seconds += 0.9
    assert answered(attempts, trial, 503) != NEVER
    trial = next_of(attempts)
    route.time.seconds += 0.1
    for end in (lambda: answered(attempts, trial, 503), lambda: refused(attempts, trial)):
        assert end() == NEVER
    assert not attempts.may_hedge(replayable=True)


def test_no_pause_reaches_beyond_the_deadline() -> None:
    route = Attempted(declared(3, retry=Retry(backoff=1.0)), timeouts=Timeouts(deadline=1.0), random=Loaded(0.5))
    attempts, trial = route.begun()
    route.time.seconds += 0.5
    assert answered(attempts, trial, 503) == NEVER
    assert route.upstream.retrying == 0


def test_without_a_deadline_attempts_end_with_the_time_of_the_first() -> None:
    route = Attempted(declared(6, retry=Retry(attempts=6)), timeouts=Timeouts(connect=1, first_byte=2))
    attempts, trial = route.begun()
    route.time.seconds += 10  # such as a body that came slowly
    assert answered(attempts, trial, 503) != NEVER, "the first one is not repeated too late, however long it took"
    trial = next_of(attempts)
    assert answered(attempts, trial, 503) == NEVER
    for timeouts in (Timeouts(connect=None), Timeouts(first_byte=None)):
        route = Attempted(declared(3), timeouts=timeouts)
        attempts, trial = route.begun()
        answered(attempts, trial, 503)
        trial = next_of(attempts)
        route.time.seconds += 1e6
        assert answered(attempts, trial, 503) != NEVER


def test_the_service_is_told_how_much_time_is_left() -> None:
    hooks = Hooks(attempt_head=(head,))
    route = Attempted(declared(3), timeouts=Timeouts(deadline=2.5), deadline_name=b"x-request-timeout-ms", hooks=hooks)
    attempts = route.exchange(own_lines=b"via: 1.1 gateway\r\n")
    trial = next_of(attempts)
    assert attempts.lines(trial.target.name) == (
        b"via: 1.1 gateway\r\nx-request-timeout-ms: 2500\r\nx-target: " + trial.target.name.encode() + b"\r\n"
    )
    for passed, left in ((0.5, b"2000"), (1.5, b"500"), (1.0, b"0")):
        route.time.seconds += passed
        assert b"x-request-timeout-ms: %b\r\n" % left in attempts.lines("http://a")
    plain = Attempted(declared(3)).exchange(own_lines=b"a: b\r\n")
    assert plain.lines("http://a") == b"a: b\r\n"
    only = Attempted(declared(1), timeouts=Timeouts(deadline=2.5), deadline_name=b"x-left")
    attempts = only.exchange()
    attempts.begin()
    assert attempts.lines("http://a") == b"x-left: 2500\r\n"
    only.time.seconds += 1
    assert attempts.lines("http://a") == b"x-left: 1500\r\n"


def head(request: Request, target: str) -> Headers:
    return [(b"x-target", target.encode())]


def test_the_time_to_connect_is_shared_with_those_that_are_left() -> None:
    route = Attempted(declared(3, ejection=None), timeouts=Timeouts(connect=2.0))
    attempts, trial = route.begun()
    for seconds in (1.0, 0.5, 0.5):
        assert attempts.time_to_connect() == seconds
        attempts.connecting += seconds
        if refused(attempts, trial) == 0.0:
            trial = next_of(attempts)
    assert attempts.time_to_connect() == 0.0
    assert attempts.count == 3


@pytest.mark.parametrize(
    ("connect", "deadline", "seconds"), [(2.0, 0.5, 0.5), (2.0, 5.0, 1.0), (None, 0.5, 0.5), (None, None, None)]
)
def test_the_time_to_connect_is_within_the_deadline(
    connect: float | None, deadline: float | None, seconds: float | None
) -> None:
    attempts, _ = Attempted(declared(2), timeouts=Timeouts(connect=connect, deadline=deadline)).begun()
    assert attempts.time_to_connect() == seconds


def test_the_time_to_answer_is_that_of_one_attempt_while_another_may_follow() -> None:
    route = Attempted(declared(3, retry=Retry(timeout=0.5, attempts=2)), timeouts=Timeouts(first_byte=30, deadline=10))
    attempts, trial = route.begun()
    assert attempts.time_to_answer(30.0, replayable=True) == 0.5
    assert attempts.time_to_answer(30.0, replayable=False) == 10.0
    route.time.seconds += 9.75
    assert attempts.time_to_answer(30.0, replayable=True) == 0.25
    assert answered(attempts, trial, 503) != NEVER
    next_of(attempts)
    assert attempts.time_to_answer(30.0, replayable=True) == 0.25  # it is the last one: the deadline bounds it
    route.time.seconds += 1
    assert attempts.time_to_answer(30.0, replayable=True) == 0.0


@pytest.mark.parametrize(
    ("request_", "parts", "seconds"),
    [
        (GET, {}, 0.5),
        (POST, {}, 30.0),
        (GET, {"retry": Retry()}, 30.0),
        (GET, {"retry": None}, 30.0),
        (GET, {"retry": Retry(timeout=60)}, 30.0),
    ],
)
def test_what_cannot_be_repeated_has_the_time_of_the_upstream(
    request_: Request, parts: dict[str, Any], seconds: float
) -> None:
    attempts, _ = Attempted(declared(2, **({"retry": Retry(timeout=0.5)} | parts))).begun(request_)
    assert attempts.time_to_answer(30.0, replayable=True) == seconds


def test_no_bounds_are_no_bounds() -> None:
    attempts, _ = Attempted(declared(2), timeouts=Timeouts(first_byte=None, connect=None)).begun()
    assert attempts.time_to_answer(None, replayable=True) is None
    bounded, _ = Attempted(declared(2, retry=Retry(timeout=3)), timeouts=Timeouts(first_byte=None)).begun()
    assert bounded.time_to_answer(None, replayable=True) == 3


# --- hedging ---


def test_the_bound_is_learned() -> None:
    route = Attempted(declared(2, balance=IN_TURN, hedge=Hedge(factor=3, initial=0.7)))
    attempts, trial = route.begun()
    route.learn(0.1, count=49)
    assert attempts.hedge_after(trial) == 0.7
    route.learn(0.1, count=1)
    assert 0.3 <= attempts.hedge_after(trial) <= 0.36


@pytest.mark.parametrize(
    ("hedge", "p99", "seconds"),
    [
        (Hedge(), 0.001, (0.025, 0.025)),
        (Hedge(floor=0.2), 0.001, (0.2, 0.2)),
        (Hedge(), 1.0, (3.0, 3.6)),
        (Hedge(), 4.0, (0.0, 0.0)),  # beyond the ceiling: it is slow by nature
        (Hedge(ceiling=20), 4.0, (12.0, 14.3)),
        (Hedge(factor=1), 1.0, (1.0, 1.2)),
        (Hedge(ceiling=0.5), 0.0, (0.0, 0.0)),  # so is what begins beyond it
        (Hedge(initial=0.5), 0.0, (0.5, 0.5)),
        (None, 1.0, (0.0, 0.0)),
    ],
)
def test_floor_ceiling_and_factor(hedge: Hedge | None, p99: float, seconds: tuple[float, float]) -> None:
    route = Attempted(declared(2, balance=IN_TURN, hedge=hedge))
    attempts, trial = route.begun()
    if p99:
        route.learn(p99)
    assert seconds[0] <= attempts.hedge_after(trial) <= seconds[1]


def test_a_target_that_is_new_is_judged_by_the_others() -> None:
    route = Attempted(declared(3, balance=IN_TURN))
    attempts, trial = route.begun()
    route.learn(0.1, 1)
    route.learn(0.2, 2)
    assert 0.6 <= attempts.hedge_after(trial) <= 0.72
    route.learn(0.02, 0)
    assert 0.06 <= attempts.hedge_after(trial) <= 0.072


def test_routes_learn_by_themselves() -> None:
    route = Attempted(declared(2, balance=IN_TURN))
    latency = route.upstream.targets[0].latency("GET /else", 50)
    for _ in range(50):
        latency.add(0.1, 1000.0)
    attempts, trial = route.begun()
    assert attempts.hedge_after(trial) == 1.0


@pytest.mark.parametrize(("request_", "parts"), [(POST, {}), (GET, {"balance": Sticky()})], ids=["POST", "sessions"])
def test_what_cannot_be_repeated_and_sessions_are_not_hedged_and_learn_nothing(
    request_: Request, parts: dict[str, Any]
) -> None:
    route = Attempted(declared(2, **parts))
    attempts, trial = route.begun(request_)
    assert attempts.hedge_after(trial) == 0.0
    answered(attempts, trial, 200)
    assert trial.target.latency("GET /", 50).count == 0


def test_what_is_learned_is_the_time_from_the_begin_to_the_head() -> None:
    route = Attempted(declared(2, hedge=Hedge(samples=1)))
    attempts, trial = route.begun()
    route.time.seconds += 0.4
    answered(attempts, trial, 200)
    latency = trial.target.latency("GET /", 1)
    assert latency.count == 1
    assert 0.4 <= latency.p99 <= 0.48


def test_a_second_attempt_is_within_the_bounds_of_retries() -> None:
    route = Attempted(declared(3, retry=Retry(least=1, budget=0)))
    attempts, _ = route.begun()
    assert attempts.may_hedge(replayable=True)
    second = next_of(attempts)
    assert second.target is not attempts._tried[0]  # pyright: ignore[reportPrivateUsage]
    other, _ = route.begun()
    assert not other.may_hedge(replayable=True)
    second.end()
    assert other.may_hedge(replayable=True)


# --- what the target hears ---


def reasons(target: LiveTarget) -> tuple[int, str]:
    return target.health.state, target.health.reason


def test_answers_and_faults_count_once() -> None:
    route = Attempted(declared(2, ejection=Ejection(faults=2)))
    attempts, trial = route.begun()
    trial.answered(503)
    for _ in range(5):
        trial.whole(503)
        trial.failed(CUT, reused=False)
        trial.overtaken()
        trial.end()
    assert reasons(trial.target) == (IN, "")
    assert (route.upstream.in_flight, attempts.upstream.retrying) == (0, 0)
    assert repr(trial) == f"<TargetAttempt {trial.target.name} ended>"


def test_an_answer_is_a_success_once_it_is_whole() -> None:
    route = Attempted(declared(2, ejection=Ejection(faults=2)))
    _, trial = route.begun()
    target = trial.target
    route.upstream.failed(target, "refused", 0.0)
    trial.answered(200)
    trial.failed(CUT, reused=False)  # in the middle of the content
    assert reasons(target) == (OUT, f"2 failures in a row, the last: {CUT.text}")


def test_the_head_of_an_answer_is_a_probe_s_success() -> None:
    route = Attempted(declared(2, ejection=Ejection(probes=1)))
    target = route.upstream.targets[0]
    fail(route.upstream, target)
    route.time.seconds += 2
    _, trial = route.begun()
    assert (trial.target, target.health.state) == (target, PROBING)
    trial.answered(200)
    assert target.health.state == IN
    trial.end()
    assert not target.health.probe_under_way


@pytest.mark.parametrize(
    ("fault", "reused", "counts"),
    [
        (REFUSED, False, True),
        (CUT, False, True),
        (CUT, True, False),
        (LATE, False, True),
        (Fault(Kind.UPSTREAM_PROTOCOL), False, True),
        (Fault(Kind.UPSTREAM_TOO_LARGE), False, False),
        (Fault(Kind.UPSTREAM_CONTRACT), False, False),
        (Fault(Kind.POOL_EXHAUSTED), False, False),
        (Fault(Kind.CLIENT_CLOSED), False, False),
        (Fault(Kind.SHUT_DOWN), False, False),
    ],
)
def test_only_what_the_target_has_done_counts(fault: Fault, reused: bool, counts: bool) -> None:
    route = Attempted(declared(2, ejection=Ejection(faults=1)))
    _, trial = route.begun()
    trial.failed(fault, reused=reused)
    trial.end()
    assert (trial.target.health.state == OUT) is counts


def test_the_reason_has_the_cause() -> None:
    route = Attempted(declared(2, ejection=Ejection(faults=1)))
    _, trial = route.begun()
    trial.failed(Fault(Kind.UPSTREAM_REFUSED, cause="[Errno 111] Connection refused"), reused=False)
    assert trial.target.health.reason == "[Errno 111] Connection refused"


def test_who_was_asked_first_and_answered_second_was_overtaken() -> None:
    route = Attempted(declared(2, ejection=Ejection(overtaken=1)))
    attempts, first = route.begun()
    route.time.seconds += 0.25
    second = next_of(attempts)
    second.answered(200)
    first.overtaken()
    assert reasons(first.target) == (OUT, "no answer within 250 ms, in which another target answered")
    assert attempts._outcome.target == second.target.name  # pyright: ignore[reportPrivateUsage]
    assert reasons(second.target) == (IN, "")


def test_who_was_asked_second_and_loses_was_not_overtaken() -> None:
    route = Attempted(declared(2, ejection=Ejection(overtaken=1)))
    attempts, first = route.begun()
    second = next_of(attempts)
    route.time.seconds += 0.25
    first.answered(200)
    second.overtaken()
    assert [reasons(trial.target) for trial in (first, second)] == [(IN, ""), (IN, "")]
    assert attempts._outcome.target == first.target.name  # pyright: ignore[reportPrivateUsage]


def test_policies_hear_of_each_attempt_and_none_keeps_another_from_it() -> None:
    heard: list[AttemptResult] = []

    def breaks(request: Request, result: AttemptResult) -> None:
        raise LookupError("a mistake")

    def hears(request: Request, result: AttemptResult) -> None:
        heard.append(result)

    attempts = Attempted(declared(2), hooks=Hooks(attempt_ended=(breaks, hears))).exchange()
    result = AttemptResult("http://a", None, sent=True, reused=False, answered=True, status=200, seconds=0.1)
    attempts.ended(result)
    assert heard == [result]


# --- sessions ---


def test_a_client_is_bound_to_the_target_that_answers_unless_it_is_bound_to_a_well_one() -> None:
    route = Attempted(declared(3, balance=Sticky()))
    attempts, trial = route.begun()
    assert attempts.binding_lines() == []
    trial.answered(200)
    ((name, value),) = attempts.binding_lines()
    assert (name, value.partition(b";")[0]) == (b"set-cookie", b"limen-target=" + trial.target.cookie)
    bound = make_request(headers=[("cookie", value.decode().partition(";")[0])])
    attempts, again = route.begun(bound)
    assert again.target is trial.target
    again.answered(200)
    assert attempts.binding_lines() == []
    fail(route.upstream, trial.target)
    attempts, elsewhere = route.begun(bound)
    elsewhere.answered(200)
    assert elsewhere.target is not trial.target
    assert attempts.binding_lines()[0][1].startswith(b"limen-target=" + elsewhere.target.cookie)
    plain, trial = Attempted(declared(2)).begun()
    trial.answered(200)
    assert plain.binding_lines() == []


def test_one_target_with_sessions_or_checks_is_picked_as_any_other() -> None:
    for parts in ({"balance": Sticky()}, {"health": Health("/")}):
        attempts, trial = Attempted(declared(1, **parts)).begun()
        assert answered(attempts, trial, 503) == NEVER
        attempts, trial = Attempted(declared(1, **parts)).begun(POST)
        assert refused(attempts, trial) == NEVER
