"""The targets of one upstream together: who may go out, who is probed, panic, drain, and what is counted and told."""

import logging
from dataclasses import replace
from math import ceil
from random import Random
from typing import Any

import pytest

from limen import Ejection, Hash, Health, RoundRobin, Sticky
from limen.testing import make_request
from limen.upstream.balance import client_address
from limen.upstream.live import LiveUpstream
from limen.upstream.live_target import MOST_ROUTES, LiveTarget
from targets import GET, Loaded, Time, ask, begin, declared, fail, live, states, urls

IN_TURN = RoundRobin()


@pytest.fixture
def time() -> Time:
    return Time()


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


def asked(upstream: LiveUpstream, times: int = 60) -> set[str]:
    """Return which targets requests go to that cannot be repeated, and so probe nothing."""
    return {upstream.choose(GET, [], repeatable=False).name for _ in range(times)}


# --- one target ---


def test_with_one_target_nothing_is_chosen_or_judged(time: Time) -> None:
    upstream = live(declared(1), time)
    (target,) = upstream.targets
    assert upstream.only is target
    fail(upstream, target, 100)
    assert upstream.choose(GET, [target], repeatable=True) is target
    assert (target.health.state, target.health.reason, upstream.panic) == (0, "", False)
    assert upstream.snapshot().targets == ()


@pytest.mark.parametrize("parts", [{"health": Health("/")}, {"balance": Sticky()}], ids=["health", "sticky"])
def test_one_target_with_checks_or_sessions_is_never_ejected(parts: dict[str, Any], time: Time) -> None:
    upstream = live(declared(1, **parts), time)
    (target,) = upstream.targets
    assert upstream.only is None
    fail(upstream, target, 100)
    assert (states(upstream), upstream.choose(GET, [], repeatable=True)) == (["in"], target)


# --- out, and the cap ---


@pytest.mark.parametrize("balance", [IN_TURN, Hash(client_address), Sticky()], ids=["robin", "hash", "sticky"])
def test_an_ejected_target_gets_nothing(balance: Any, time: Time) -> None:
    upstream = live(declared(3, balance=balance), time)
    for target in upstream.targets[:2]:
        fail(upstream, target)
        assert target.name not in asked(upstream)
    assert states(upstream) == ["out", "out", "in"]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 10])
@pytest.mark.parametrize("most", [0.1, 0.3, 0.5, 0.7, 1.0])
def test_at_most_a_share_of_all_is_out_and_never_the_last_one_that_is_well(count: int, most: float, time: Time) -> None:
    upstream = live(declared(count, ejection=Ejection(most=most, panic=0)), time)
    for target in upstream.targets:
        fail(upstream, target)
    out = min(ceil(most * count), count - 1)
    assert states(upstream) == ["out"] * out + ["in"] * (count - out)
    for target in upstream.targets[out:]:
        assert target.health.failing
        assert target.health.reason == "kept in, since too many others are out: 3 failures in a row, the last: refused"


def test_the_defaults_let_one_of_two_and_two_of_three_go() -> None:
    assert [ceil(Ejection().most * count) for count in (2, 3, 4, 5)] == [1, 2, 2, 3]


def test_who_was_kept_in_goes_out_as_soon_as_another_is_well(time: Time) -> None:
    upstream = live(declared(2), time)
    one, other = upstream.targets
    fail(upstream, one)
    fail(upstream, other)
    assert states(upstream) == ["out", "in"]
    time.seconds += 2
    for _ in range(3):
        assert ask(upstream) is one
    assert states(upstream) == ["in", "in"]
    fail(upstream, other, 1)
    assert states(upstream) == ["in", "out"]


def test_a_probe_that_fails_is_out_again_whatever_the_cap_and_not_for_longer_where_nobody_is_well(time: Time) -> None:
    upstream = live(declared(2), time, random=Loaded(1.0))
    one, other = upstream.targets
    fail(upstream, one)
    fail(upstream, other)
    for _ in range(5):
        time.seconds = one.health.until
        assert ask(upstream, 0) is one
        assert (states(upstream), other.health.failing) == (["out", "in"], True)
        assert (one.health.reason, one.health.until - time.seconds) == ("a probe failed: refused", 2.0)
        assert not upstream.another([])
    for _ in range(3):
        upstream.answered(other, 200, time.seconds)
    time.seconds = one.health.until
    assert ask(upstream, 0) is one
    assert one.health.until - time.seconds == 10.0  # the other one is well


def test_the_cap_holds_for_nobody_who_is_probed(time: Time) -> None:
    upstream = live(declared(4, health=Health("/"), ejection=Ejection(most=0.25, panic=0)), time)
    (target,) = out(upstream, 0)
    time.seconds += 2
    assert begin(upstream) == (target, True)
    upstream.checked(upstream.targets[1], "refused")  # checks take it out, whatever the cap
    upstream.failed(target, "refused", time.seconds)
    assert states(upstream) == ["out", "out", "in", "in"]


def test_a_drained_target_is_none_that_others_can_be_left_to(time: Time) -> None:
    upstream = live(declared(2), time)
    upstream.drain(urls(2)[0])
    fail(upstream, upstream.targets[1])
    assert states(upstream) == ["in", "in"]


# --- panic ---


def test_panic_begins_and_ends_with_a_line_in_the_log(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    upstream = live(declared(4, health=Health("/"), ejection=Ejection(panic=0.5, probes=1, slow_start=0)), time)
    a, b, c, _ = upstream.targets
    for target in (a, b):
        upstream.checked(target, "refused")
    assert (upstream.panic, len(asked(upstream))) == (False, 2)
    upstream.checked(c, "refused")
    assert (upstream.panic, len(asked(upstream))) == (True, 4)
    assert states(upstream) == ["out", "out", "out", "in"]
    upstream.checked(a, "")
    upstream.checked(a, "")
    time.seconds += 1
    assert ask(upstream) is a
    assert (upstream.panic, len(asked(upstream)), upstream.snapshot().panic) == (False, 2, False)
    lines = [line for line in logged(caplog) if "panic" in line or "enough" in line]
    assert lines == [
        "ERROR upstream svc: panic: 1 of 4 targets are well, so all are used",
        "WARNING upstream svc: enough targets are well again",
    ]


def test_when_none_is_well_all_are_used(time: Time) -> None:
    upstream = live(declared(3, health=Health("/"), ejection=None), time)
    for target in upstream.targets:
        upstream.checked(target, "refused")
    assert (upstream.panic, asked(upstream)) == (True, set(urls(3)))
    assert upstream.snapshot().panic


# --- probes ---


def out(upstream: LiveUpstream, *numbers: int) -> list[LiveTarget]:
    found = [upstream.targets[number] for number in numbers]
    for target in found:
        fail(upstream, target)
    return found


def test_a_returning_target_gets_one_request_at_a_time(time: Time) -> None:
    upstream = live(declared(3), time)
    (target,) = out(upstream, 0)
    time.seconds += 2
    assert begin(upstream) == (target, True)
    for _ in range(20):
        other, probe = begin(upstream)
        assert (other is target, probe) == (False, False)
    assert states(upstream)[0] == "probing"
    upstream.answered(target, 200, time.seconds)
    assert begin(upstream)[0] is not target, "the probe has not ended yet"
    upstream.ended(target, again=False, probe=True)
    assert begin(upstream) == (target, True)


def test_a_probe_that_ends_without_a_result_makes_room_for_the_next(time: Time) -> None:
    upstream = live(declared(3), time)
    (target,) = out(upstream, 0)
    time.seconds += 2
    for _ in range(5):
        assert begin(upstream) == (target, True)
        upstream.ended(target, again=False, probe=True)
    assert states(upstream)[0] == "probing"


def test_two_that_are_due_are_probed_at_the_same_time(time: Time) -> None:
    upstream = live(declared(3), time)
    one, other = out(upstream, 0, 1)
    time.seconds += 2
    assert [begin(upstream), begin(upstream)] == [(one, True), (other, True)]


def test_what_cannot_be_repeated_probes_only_where_nothing_else_has_come_for_long(time: Time) -> None:
    upstream = live(declared(3), time)
    (target,) = out(upstream, 0)
    time.seconds = target.health.until + 9.9
    for _ in range(20):
        assert begin(upstream, repeatable=False)[0] is not target
    assert states(upstream)[0] == "probing"
    time.seconds = target.health.until + 10
    assert begin(upstream, repeatable=False) == (target, True)
    assert begin(upstream, repeatable=False)[0] is not target


def test_after_good_checks_it_is_the_same(time: Time) -> None:
    upstream = live(declared(3, health=Health("/", rise=1)), time)
    target = upstream.targets[0]
    upstream.checked(target, "refused")
    time.seconds += 100
    assert begin(upstream)[0] is not target
    upstream.checked(target, "")
    assert begin(upstream, repeatable=False)[0] is not target
    assert begin(upstream) == (target, True)


def test_a_repetition_probes_nothing(time: Time) -> None:
    upstream = live(declared(3), time)
    (target,) = out(upstream, 0)
    time.seconds += 2
    for tried in ([upstream.targets[1]], [upstream.targets[2]]):
        for _ in range(20):
            chosen, probe = begin(upstream, tried=tried)
            assert chosen not in [*tried, target]
            assert not probe


def test_a_session_probes_no_other_target_than_its_own(time: Time) -> None:
    upstream = live(declared(3, balance=Sticky()), time)
    out(upstream, 0)
    time.seconds += 100
    for target in upstream.targets[1:]:
        request = make_request(headers=[("cookie", f"limen-target={target.cookie.decode()}")])
        for repeatable in (True, False):
            assert begin(upstream, request, repeatable=repeatable) == (target, False)
    own = make_request(headers=[("cookie", f"limen-target={upstream.targets[0].cookie.decode()}")])
    assert begin(upstream, own) == (upstream.targets[0], True)


def test_a_probe_that_fails_takes_it_out_for_longer(time: Time) -> None:
    upstream = live(declared(3), time, random=Random(1))
    (target,) = out(upstream, 0)
    time.seconds += 2
    assert ask(upstream, 503) is target
    assert target.health.reason == "a probe failed: an answer of 503"
    assert 3.0 <= target.health.until - time.seconds <= 4.0


def test_a_target_that_returns_starts_slowly(time: Time) -> None:
    upstream = live(declared(2, ejection=Ejection(probes=1, slow_start=10)), time)
    (target,) = out(upstream, 0)
    time.seconds += 2
    assert ask(upstream) is target
    counts: list[int] = []
    for _ in range(12):
        counts.append(sum(upstream.choose(GET, [], repeatable=True) is target for _ in range(500)))
        time.seconds += 1
    assert counts[0] < 100
    assert counts[5] < 220
    assert 200 <= counts[-1] <= 300
    assert not target.uneven


# --- repetitions ---


def test_a_repetition_goes_to_another_target_while_one_is_well(time: Time) -> None:
    upstream = live(declared(3), time)
    a, b, c = upstream.targets
    for tried, left in (([a], {b, c}), ([a, b], {c}), ([a, b, c], {a, b, c})):
        found = {upstream.choose(GET, tried, repeatable=True) for _ in range(60)}
        assert found == left
        assert (upstream.another(tried), upstream.reachable(tried)) == (len(tried) < 3, len(tried) < 3)


def test_where_no_other_is_well_what_was_never_sent_goes_to_one_that_is_out_but_was_reached(time: Time) -> None:
    upstream = live(declared(3), time)
    a, b, c = upstream.targets
    out(upstream, 1)
    upstream.drain(c.name)
    assert (upstream.another([a]), upstream.reachable([a])) == (False, True)
    assert {upstream.choose(GET, [a], repeatable=True) for _ in range(60)} == {b}
    assert states(upstream)[1] == "out", "that is no probe"
    assert (upstream.reachable([a, b]), upstream.choose(GET, [a, b], repeatable=True)) == (False, a)
    upstream.restore(c.name)
    assert {upstream.choose(GET, [a], repeatable=True) for _ in range(60)} == {c}


def test_a_target_is_unreachable_until_somebody_has_connected_to_it(time: Time) -> None:
    upstream = live(declared(2), time)
    a, b = upstream.targets
    for _ in range(3):
        upstream.failed(b, "refused", time.seconds, unreachable=True)
    assert (upstream.reachable([a]), upstream.choose(GET, [a], repeatable=True)) == (False, a)
    upstream.failed(b, "no answer in time", time.seconds)  # an attempt that had a connection
    assert (upstream.reachable([a]), upstream.choose(GET, [a], repeatable=True)) == (True, b)
    for status in (200, 503):
        upstream.failed(b, "refused", time.seconds, unreachable=True)
        assert not upstream.reachable([a])
        upstream.answered(b, status, time.seconds)
        assert upstream.reachable([a])


def test_who_is_well_is_asked_again_although_it_could_not_be_connected_to(time: Time) -> None:
    upstream = live(declared(2), time)
    a, b = upstream.targets
    upstream.failed(b, "refused", time.seconds, unreachable=True)
    assert (upstream.another([a]), upstream.reachable([a])) == (True, False)
    assert upstream.choose(GET, [a], repeatable=True) is b


def test_who_is_kept_in_although_it_fails_is_no_other_target_for_what_was_sent(time: Time) -> None:
    upstream = live(declared(2), time)
    one, other = upstream.targets
    out(upstream, 0, 1)
    assert (states(upstream), other.health.failing) == (["out", "in"], True)
    assert (upstream.another([one]), upstream.another([]), upstream.reachable([one])) == (False, False, True)


# --- drain ---


def test_a_drained_target_gets_nothing_new_until_it_is_restored(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    upstream = live(declared(3), time)
    one, two, three = urls(3)
    upstream.drain(two)
    assert asked(upstream) == {one, three}
    assert [target.drained_since for target in upstream.snapshot().targets] == [0.0, time.now(), 0.0]
    upstream.restore(two)
    assert asked(upstream) == {one, two, three}
    assert logged(caplog) == [
        f"WARNING upstream svc: target {two} is drained: it gets no new requests",
        f"WARNING upstream svc: target {two} is well again",
    ]


def test_to_drain_or_restore_twice_is_to_do_it_once(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    upstream = live(declared(3), time)
    told: list[str] = []
    upstream.changed = lambda _, target: told.append(target.name)
    one = urls(1)[0]
    upstream.restore(one)
    assert told == logged(caplog) == []
    upstream.drain(one)
    since = time.now()
    time.seconds += 5
    upstream.drain(one)
    assert (upstream.snapshot().targets[0].drained_since, told, len(caplog.records)) == (since, [one], 1)


def test_a_drained_target_that_is_due_is_not_probed(time: Time) -> None:
    upstream = live(declared(3), time)
    (target,) = out(upstream, 0)
    upstream.drain(target.name)
    time.seconds += 100
    assert begin(upstream)[0] is not target
    upstream.restore(target.name)
    assert begin(upstream) == (target, True)


def test_a_drained_target_keeps_its_sessions(time: Time) -> None:
    upstream = live(declared(3, balance=Sticky()), time)
    target = upstream.targets[1]
    request = make_request(headers=[("cookie", f"limen-target={target.cookie.decode()}")])
    upstream.drain(target.name)
    assert upstream.choose(request, [], repeatable=False) is target
    assert target.name not in asked(upstream)
    assert upstream.choose(request, [target], repeatable=True) is not target


def test_when_all_are_drained_all_are_used_and_it_says_so(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    upstream = live(declared(2), time)
    for url in urls(2):
        upstream.drain(url)
    assert (asked(upstream), upstream.panic) == (set(urls(2)), True)
    assert "ERROR upstream svc: panic: 0 of 2 targets are well, so all are used" in logged(caplog)
    upstream.restore(urls(2)[0])
    assert (asked(upstream), upstream.panic) == ({urls(2)[0]}, False)


def test_there_is_no_target_at_another_address(time: Time) -> None:
    upstream = live(declared(2), time)
    for method in (upstream.drain, upstream.restore):
        with pytest.raises(
            LookupError, match=r"upstream 'svc' has no target 'http://x'; it has http://10.0.0.1:8000, http://10"
        ):
            method("http://x")


# --- what is counted, and told ---


def test_counts(time: Time) -> None:
    upstream = live(declared(3), time)
    first, probe = begin(upstream)
    second, _ = begin(upstream, tried=[first])
    assert (upstream.in_flight, upstream.retrying, first.in_flight, second.in_flight, probe) == (2, 1, 1, 1, False)
    assert sum(target.in_flight for target in upstream.snapshot().targets) == 2
    upstream.ended(second, again=True, probe=False)
    upstream.ended(first, again=False, probe=False)
    assert (upstream.in_flight, upstream.retrying, first.in_flight, second.in_flight) == (0, 0, 0, 0)


def test_each_change_is_told_and_logged_once(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    upstream = live(declared(2, ejection=Ejection(probes=1)), time)
    told: list[tuple[str, str]] = []
    upstream.changed = lambda _, target: told.append((target.name, states(upstream)[upstream.targets.index(target)]))
    one, other = upstream.targets
    fail(upstream, one, 6)
    fail(upstream, other, 6)
    time.seconds += 2
    ask(upstream)
    upstream.answered(other, 200, time.seconds)
    assert told == [(one.name, "out"), (other.name, "in"), (one.name, "in"), (other.name, "in")]
    assert logged(caplog) == [
        f"WARNING upstream svc: target {one.name} is out: 3 failures in a row, the last: refused",
        f"WARNING upstream svc: target {other.name} fails, and is kept in, since too many others are out: 3 failures in a "
        "row, the last: refused",
        f"WARNING upstream svc: target {one.name} is well again",
        f"WARNING upstream svc: target {other.name} is well again",
    ]


def test_checks_that_go_on_as_before_tell_nothing(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    upstream = live(declared(2, health=Health("/", fall=2, rise=2)), time)
    target = upstream.targets[0]
    for problem in ("", "", "", "refused", "refused", "refused", "refused", "", "", "", ""):
        upstream.checked(target, problem)
    assert logged(caplog) == [
        f"WARNING upstream svc: target {target.name} is out: 2 checks in a row failed, the last: refused",
        f"WARNING upstream svc: target {target.name} may return: checks are good again, after: 2 checks in a row failed, "
        "the last: refused",
    ]
    assert target.health.due()
    caplog.clear()
    unchecked = live(declared(2), time)
    unchecked.checked(unchecked.targets[0], "refused")
    assert (states(unchecked), logged(caplog)) == (["in", "in"], [])


def test_answers_below_500_are_no_failures(time: Time) -> None:
    upstream = live(declared(2), time)
    target = upstream.targets[0]
    for status in (200, 204, 301, 400, 404, 429, 499) * 10:
        upstream.answered(target, status, time.seconds)
    assert states(upstream) == ["in", "in"]


def test_without_ejection_nobody_goes_out(time: Time) -> None:
    upstream = live(declared(3, ejection=None), time)
    for target in upstream.targets:
        fail(upstream, target, 50)
        for _ in range(50):
            upstream.overtaken(target, 1.0, time.seconds)
            upstream.answered(target, 503, time.seconds)
    assert states(upstream) == ["in"] * 3
    assert not any(target.health.failing for target in upstream.targets)


def test_the_snapshot_tells_state_reason_and_time(time: Time) -> None:
    upstream = live(declared(2), time)
    time.seconds += 5
    out(upstream, 0)
    one, other = upstream.snapshot().targets
    assert (one.state, one.reason, one.since) == ("out", "3 failures in a row, the last: refused", time.now())
    assert (other.state, other.reason, other.since) == ("in", "", time.now() - 5)
    assert repr(upstream) == "<LiveUpstream svc 0 idle 0 busy 0 waiting>"


# --- a target ---


def test_routes_beyond_the_most_share_a_figure() -> None:
    target = live().targets[0]
    own = [target.latency(f"GET /{number}", 50) for number in range(MOST_ROUTES)]
    shared = target.latency("GET /more", 50)
    assert len({id(one) for one in own}) == MOST_ROUTES
    assert target.latency("GET /else", 50) is shared
    assert target.latency("GET /0", 50) is own[0]
    assert target.latency("GET /0", 20).samples == 20


def test_a_target_shows_where_and_how_it_is() -> None:
    assert repr(live().targets[0]) == "<LiveTarget http://10.0.0.1:8000 0 in flight <TargetHealth in>>"


def test_the_log_of_an_upstream_has_a_name_of_its_own(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    upstream = live(replace(declared(2), name="orders"), time)
    with caplog.at_level(logging.WARNING):
        out(upstream, 0)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("limen.upstream", "WARNING")
    assert record.getMessage().startswith("upstream orders: target http://10.0.0.1:8000 is out: ")
