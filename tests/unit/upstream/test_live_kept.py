"""What stays of targets when their list changes, when the table is compiled again, and when a compile fails."""

from dataclasses import replace
from typing import Any

import pytest

from limen import Ejection, Health, LeastRequests, Limits, RoundRobin, Sticky, Upstream
from limen.upstream.live import LiveUpstream
from limen.upstream.target import Target
from targets import GET, Time, begin, declared, fail, live, states, urls


@pytest.fixture
def time() -> Time:
    return Time()


def target(number: int) -> Target:
    return Target.parse(f"http://10.0.0.{number}:8000")


def after(before: LiveUpstream, upstream: Upstream, time: Time, *, commits: bool = True) -> LiveUpstream:
    """Compile the upstream anew, as the runtime does."""
    made = live(upstream, time, before=before)
    if commits:
        made.activate()
        before.retire(made)
    return made


def everything(upstream: LiveUpstream) -> list[Any]:
    return [
        (one, one.weight, one.uneven, one.pool, one.health, one.health.state, one.health.until, one.health.reason)
        for one in upstream.targets
    ]


# --- a list that changes ---


async def test_who_stays_keeps_its_state_and_who_is_new_begins_well(time: Time) -> None:
    upstream = live(declared(3), time)
    a, b, c = upstream.targets
    b.latency("GET /", 50).add(1.0, time.seconds)
    fail(upstream, b)
    running, _ = begin(upstream)
    upstream.retarget([target(2), target(3), target(4)])
    assert upstream.targets[:2] == [b, c]
    assert states(upstream) == ["out", "in", "in"]
    assert b.latency("GET /", 50).count == 1
    assert b not in {upstream.choose(GET, [], repeatable=False) for _ in range(60)}
    upstream.ended(running, again=False, probe=False)
    assert (upstream.in_flight, a in upstream.targets) == (0, False)
    fail(upstream, a)  # an exchange that began there before ends: that hurts nobody
    assert states(upstream) == ["out", "in", "in"]


async def test_the_cap_is_that_of_the_list_as_it_is_now(time: Time) -> None:
    upstream = live(declared(2), time)
    fail(upstream, upstream.targets[0])
    upstream.retarget([target(number) for number in range(1, 6)])
    for one in upstream.targets:
        fail(upstream, one)
    assert states(upstream) == ["out", "out", "out", "in", "in"]


async def test_the_first_address_of_a_name_takes_over_what_lives_of_the_name(time: Time) -> None:
    upstream = live(Upstream("svc", ["http://orders:8000", "http://10.0.0.9:8000"]), time)
    name, other = upstream.targets
    fail(upstream, name)
    parsed = upstream.upstream.addresses[0]
    upstream.retarget([parsed.at(("10.0.0.1",)), parsed.at(("10.0.0.2",)), upstream.upstream.addresses[1]])
    assert [upstream.targets[0], upstream.targets[2]] == [name, other]
    assert [one.name for one in upstream.targets] == [
        *("http://orders:8000 [10.0.0.1]", "http://orders:8000 [10.0.0.2]", "http://10.0.0.9:8000")
    ]
    assert states(upstream) == ["out", "in", "in"]
    assert len({one.cookie for one in upstream.targets}) == 3
    # A second address to fall back to makes no other target of it.
    upstream.retarget([parsed.at(("10.0.0.1", "::1")), upstream.upstream.addresses[1]])
    assert upstream.targets == [name, other]
    assert (name.target.addresses, states(upstream)) == (("10.0.0.1", "::1"), ["out", "in"])


async def test_the_last_one_that_is_left_is_the_only_one_however_it_was(time: Time) -> None:
    upstream = live(declared(2), time)
    fail(upstream, upstream.targets[0])
    upstream.retarget([target(1)])
    assert (upstream.only, upstream.panic) == (upstream.targets[0], False)
    upstream.retarget([target(1), target(3)])
    assert (upstream.only, states(upstream)) == (None, ["out", "in"])


async def test_addresses_of_a_name_have_its_weight(time: Time) -> None:
    weights = {"http://orders:8000": 3.0}
    upstream = live(
        Upstream("svc", ["http://orders:8000", "http://10.0.0.9:8000"], balance=RoundRobin(weights=weights)), time
    )
    parsed, other = upstream.upstream.addresses
    upstream.retarget([parsed.at(("10.0.0.1",)), parsed.at(("10.0.0.2",)), other])
    assert [one.weight for one in upstream.targets] == [3.0, 3.0, 1.0]


# --- a compile ---


async def test_after_a_compile_the_targets_are_the_same_with_their_state(time: Time) -> None:
    before = live(declared(3), time)
    fail(before, before.targets[0])
    before.drain(urls(3)[1])
    upstream = after(
        before, declared(4, balance=RoundRobin(weights={urls(1)[0]: 2}), ejection=Ejection(probes=1)), time
    )
    assert upstream.targets[:3] == before.targets
    assert states(upstream) == ["out", "in", "in", "in"]
    assert {upstream.choose(GET, [], repeatable=False).name for _ in range(60)} == set(urls(4)[2:])
    assert [one.weight for one in upstream.targets] == [2, 1, 1, 1]
    time.seconds += 2
    assert begin(upstream) == (upstream.targets[0], True)
    upstream.answered(upstream.targets[0], 200, time.seconds)
    assert states(upstream)[0] == "in"  # by the new rules


async def test_other_limits_make_other_connections_and_leave_the_state(time: Time) -> None:
    before = live(declared(2), time)
    fail(before, before.targets[0])
    latency = before.targets[1].latency("GET /", 50)
    upstream = after(before, declared(2, limits=Limits(connections=2)), time)
    for one, was in zip(upstream.targets, before.targets, strict=True):
        assert one.pool is not was.pool
        assert one.health is was.health
    assert upstream.targets[1].latency("GET /", 50) is latency
    assert states(upstream) == ["out", "in"]


@pytest.mark.parametrize("limits", [Limits(), Limits(connections=2)], ids=["same connections", "other connections"])
async def test_what_ends_at_the_one_before_is_heeded_by_the_one_after(
    limits: Limits, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    before = live(declared(3), time)
    old, probe = begin(before)
    upstream = after(before, declared(3, limits=limits, hedge=None), time)
    last = after(upstream, declared(3, limits=limits, hedge=None, retry=None), time)
    told: list[str] = []
    last.changed = lambda _, changed: told.append(changed.name)
    fail(before, old)
    before.ended(old, again=False, probe=probe)
    assert states(last).count("out") == 1
    assert old.name not in {last.choose(GET, [], repeatable=False).name for _ in range(60)}
    time.seconds += 2
    assert begin(last)[0].name == old.name, "and it is probed"
    assert told == [old.name]
    assert len(caplog.records) == 1
    assert (before.in_flight, old.in_flight) == (0, 0 if limits == Limits(connections=2) else 1)


async def test_a_compile_that_fails_changes_nothing(time: Time) -> None:
    before = live(declared(3, balance=LeastRequests(weights={urls(1)[0]: 2}), health=Health("/")), time)
    fail(before, before.targets[0])
    before.checked(before.targets[1], "refused")
    was = everything(before)
    for other in (
        declared(3, ejection=None),
        declared(2, limits=Limits(connections=2), ejection=Ejection(faults=1)),
        declared(5, balance=LeastRequests(weights=dict.fromkeys(urls(5), 7.0))),
    ):
        after(before, other, time, commits=False)
        assert everything(before) == was
    assert {before.choose(GET, [], repeatable=False).name for _ in range(20)} == {urls(3)[2]}
    fail(before, before.targets[2], 2)
    assert before.targets[2].health.reason == ""  # by the old rules still


async def test_without_checks_from_now_on_nobody_is_out_for_ever(time: Time) -> None:
    before = live(declared(2, health=Health("/")), time)
    before.checked(before.targets[0], "refused")
    upstream = after(before, declared(2), time)
    assert states(upstream) == ["in", "in"]
    assert upstream.targets[0].health.growing
    assert {upstream.choose(GET, [], repeatable=False) for _ in range(200)} == set(upstream.targets)


async def test_without_ejection_from_now_on_one_good_answer_is_enough(time: Time) -> None:
    before = live(declared(2), time)
    fail(before, before.targets[0])
    upstream = after(before, declared(2, ejection=None), time)
    time.seconds += 2
    target, probe = begin(upstream)
    assert (target, probe) == (upstream.targets[0], True)
    upstream.answered(target, 200, time.seconds)
    assert states(upstream) == ["in", "in"]


async def test_addresses_of_a_name_stay_known(time: Time) -> None:
    declaration = Upstream("svc", ["http://orders:8000"])
    before = live(declaration, time)
    parsed = declaration.addresses[0]
    before.retarget([parsed.at(("10.0.0.1",)), parsed.at(("10.0.0.2",))])
    upstream = after(before, replace(declaration, balance=Sticky()), time)
    assert upstream.targets == before.targets
    assert upstream.sticky is not None
