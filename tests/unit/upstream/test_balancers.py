"""Which target each balancer picks, as properties: fair, in proportion, and never another than those it is given."""

from collections import Counter
from collections.abc import Sequence
from math import sqrt
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import part
from limen import Ejection, Hash, LeastRequests, RoundRobin, Sticky
from limen.exchange.request import Request
from limen.testing import make_request
from limen.upstream.balance import Balance, client_address, header
from limen.upstream.balance_live import Balancer, LeastRequestsBalancer, StickyBalancer, balancer_of
from limen.upstream.live import LiveUpstream
from limen.upstream.live_target import LiveTarget
from targets import GET, Loaded, Time, declared, fail, live, urls

COUNTS = st.integers(2, 12)
SEEDS = st.integers(0, 2**32)
KEY = header("x-key")


def keyed(key: object) -> Request:
    return make_request(headers=[("x-key", str(key))])


def targets(count: int, weights: Sequence[float] = ()) -> list[LiveTarget]:
    made = live(declared(count, balance=RoundRobin(weights=dict(zip(urls(count), weights, strict=False))))).targets
    assert [target.weight for target in made][: len(weights)] == list(weights)
    return made


def picks(balancer: Balancer, among: Sequence[LiveTarget], times: int, request: Request = GET) -> list[LiveTarget]:
    return [balancer.pick(list(among), request) for _ in range(times)]


# --- what holds for each ---


CASES: list[Balance] = [LeastRequests(), RoundRobin(), Hash(KEY), Sticky()]


@pytest.mark.parametrize("balance", CASES, ids=lambda balance: type(balance).__name__)
@given(data=st.data())
def test_it_picks_one_of_those_it_is_given(balance: Balance, data: st.DataObject) -> None:
    made = targets(6, data.draw(st.lists(st.floats(1e-6, 1e6), max_size=6)))
    balancer = balancer_of(balance, Random(data.draw(SEEDS)))
    for _ in range(8):
        among = data.draw(st.lists(st.sampled_from(made), min_size=1, unique=True))
        for target in made:
            target.in_flight = data.draw(st.integers(0, 3))
        headers = [("x-key", data.draw(st.text("ab", max_size=3)))] if data.draw(st.booleans()) else []
        headers += [("cookie", f"limen-target={data.draw(st.sampled_from(made)).cookie.decode()}")]
        assert balancer.pick(among, make_request(headers=headers)) in among


def test_a_balancer_alone_picks_nothing() -> None:
    with pytest.raises(NotImplementedError):
        Balancer().pick(targets(1), GET)


# --- least requests ---


@given(count=COUNTS, seed=SEEDS)
@settings(max_examples=part(20))
def test_of_equal_targets_none_has_many_more_under_way(count: int, seed: int) -> None:
    """Requests that all stay: with two choices the fullest is a few above the mean (its bound is log log n)."""
    made = targets(count)
    balancer = balancer_of(LeastRequests(), Random(seed))
    for number in range(1, 40 * count + 1):
        balancer.pick(made, GET).in_flight += 1
        assert max(target.in_flight for target in made) <= number / count + 5


@given(count=COUNTS, seed=SEEDS)
@settings(max_examples=part(20))
def test_requests_that_end_at_once_are_shared_evenly(count: int, seed: int) -> None:
    times = 200 * count
    counted = Counter(map(id, picks(balancer_of(LeastRequests(), Random(seed)), targets(count), times)))
    deviation = 6 * sqrt(200)  # of a binomial distribution with a mean of 200
    assert all(abs(counts - 200) <= deviation for counts in counted.values())
    assert len(counted) == count


@given(count=st.integers(2, 200), value=st.floats(0, 1, exclude_max=True))
def test_whatever_the_dice_show_two_different_targets_are_compared(count: int, value: float) -> None:
    made = targets(count)
    balancer = LeastRequestsBalancer(lambda: value)
    first = balancer.pick(made, GET)
    first.in_flight = 1
    assert balancer.pick(made, GET) is not first


def test_of_two_it_takes_the_one_with_fewer_requests_under_way() -> None:
    made = targets(2)
    balancer = balancer_of(LeastRequests(), Random(1))
    made[0].in_flight = 1
    assert set(picks(balancer, made, 100)) == {made[1]}


@given(weights=st.lists(st.sampled_from((0.1, 1.0, 2.0, 5.0)), min_size=2, max_size=6), seed=SEEDS)
@settings(max_examples=part(20))
def test_least_requests_follows_weights_with_and_without_load(weights: list[float], seed: int) -> None:
    made, total = targets(len(weights), weights), sum(weights)
    balancer = balancer_of(LeastRequests(), Random(seed))
    counted = Counter(map(id, picks(balancer, made, 3000)))
    for target, weight in zip(made, weights, strict=True):
        share = weight / total
        assert abs(counted[id(target)] - 3000 * share) <= 6 * sqrt(3000 * share * (1 - share)) + 1
    for _ in range(1000):  # they stay: what is under way is in proportion as well
        balancer.pick(made, GET).in_flight += 1
    for target, weight in zip(made, weights, strict=True):
        share = weight / total
        assert abs(target.in_flight - 1000 * share) <= 6 * sqrt(1000 * share * (1 - share)) + 6


# --- round robin ---


@given(count=st.integers(1, 12))
def test_round_robin_is_one_after_the_other(count: int) -> None:
    made = targets(count)
    assert picks(balancer_of(RoundRobin(), Random(1)), made, 3 * count) == made * 3


@given(weights=st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_round_robin_is_exact_in_proportion_and_smooth(weights: list[int]) -> None:
    made, total = targets(len(weights), weights), sum(weights)
    balancer = balancer_of(RoundRobin(), Random(1))
    for _ in range(2):
        counted: Counter[int] = Counter()
        for number in range(1, total + 1):
            counted[id(balancer.pick(made, GET))] += 1
            for target, weight in zip(made, weights, strict=True):
                # At each moment nobody is more than one request away from its share for each that competes with it.
                assert abs(counted[id(target)] - number * weight / total) < len(weights)
        assert [counted[id(target)] for target in made] == weights


def test_round_robin_mixes_as_is_known() -> None:
    a, b, c = made = targets(3, [5, 1, 1])
    assert picks(balancer_of(RoundRobin(), Random(1)), made, 7) == [a, a, b, a, c, a, a]


def test_who_leaves_round_robin_takes_no_credit_along() -> None:
    a, b, c = made = targets(3)
    balancer = balancer_of(RoundRobin(), Random(1))
    assert picks(balancer, made, 1) == [a]
    assert picks(balancer, [b, c], 100).count(b) == 50
    counted = Counter(map(id, picks(balancer, made, 30)))
    assert all(9 <= counted[id(target)] <= 11 for target in made)


# --- rendezvous hashing ---


@given(count=COUNTS, gone=st.integers(0, 11), keys=st.lists(st.text(max_size=8), min_size=1, max_size=50, unique=True))
@settings(max_examples=part(40))
def test_a_target_that_leaves_moves_only_its_own_keys(count: int, gone: int, keys: list[str]) -> None:
    made = targets(count)
    balancer = balancer_of(Hash(lambda request: request.request_id), Random(1))
    leaves = made[gone % count]
    left = [target for target in made if target is not leaves]
    for key in keys:
        request = make_request(request_id=key)
        before, after = balancer.pick(made, request), balancer.pick(left, request)
        assert after is before or before is leaves
        assert balancer.pick(list(reversed(made)), request) is before, "the order of targets does not matter"


@pytest.mark.parametrize("weights", [[], [1, 2, 3, 4], [0.1, 1, 1, 10]])
def test_keys_are_shared_in_proportion_to_weights(weights: list[float]) -> None:
    made = targets(4, weights)
    total = sum(target.weight for target in made)
    balancer = balancer_of(Hash(KEY), Random(1))
    counted = Counter(id(balancer.pick(made, keyed(number))) for number in range(4000))
    for target in made:
        share = target.weight / total
        assert abs(counted[id(target)] - 4000 * share) <= 5 * sqrt(4000 * share * (1 - share))


def test_a_key_has_the_same_target_in_each_process_and_each_version() -> None:
    made = targets(4)
    balancer = balancer_of(Hash(KEY), Random())
    found = [made.index(balancer.pick(made, keyed(key))) for key in ("alice", "bob", "carol", "dave", "erin", "ünal")]
    assert found == [1, 3, 0, 2, 0, 1]
    assert [target.cookie.decode() for target in made[:2]] == ["0ae2173f3134aa56", "b61e98fb6be42594"]


def test_without_a_key_the_request_goes_where_least_is_under_way() -> None:
    made = targets(2)
    balancer = balancer_of(Hash(KEY), Random(1))
    made[0].in_flight = 1
    assert set(picks(balancer, made, 50)) == {made[1]}
    empty = set(map(id, picks(balancer, made, 50, keyed(""))))
    assert len(empty) == 1, "an empty key is a key"


def test_a_key_may_be_anything_that_has_a_text() -> None:
    def tenant(request: Request) -> Any:
        return 7 if request.method == b"GET" else "\udc80"

    made = targets(3)
    balancer = balancer_of(Hash(tenant), Random(1))
    assert len(set(map(id, picks(balancer, made, 5)))) == 1
    assert balancer.pick(made, make_request("POST")) in made


def test_while_a_target_returns_its_keys_come_back_little_by_little() -> None:
    time = Time()
    upstream = live(declared(2, balance=Hash(KEY), ejection=Ejection(probes=1, slow_start=10)), time)
    one, other = upstream.targets
    places = {key: upstream.choose(keyed(key), [], repeatable=True) for key in range(200)}
    fail(upstream, one)
    time.seconds += 2
    assert upstream.choose(keyed(0), [], repeatable=True) is one
    upstream.began(one, again=False)
    upstream.answered(one, 200, time.seconds)
    upstream.ended(one, again=False, probe=True)
    back: list[int] = []
    for _ in range(11):
        now = {key: upstream.choose(keyed(key), [], repeatable=True) for key in places}
        assert all(now[key] is other for key, place in places.items() if place is other), "no other key moves"
        back.append(sum(target is one for target in now.values()))
        time.seconds += 1
    assert back == sorted(back)
    assert back[0] < 30
    assert back[-1] == sum(place is one for place in places.values())


# --- sessions ---


def session(upstream: LiveUpstream, target: LiveTarget, scheme: str = "http", **parts: Any) -> Request:
    return make_request(headers=[("cookie", f"a=b; limen-target={target.cookie.decode()}")], scheme=scheme, **parts)


def test_a_session_goes_to_the_target_that_its_cookie_names() -> None:
    upstream = live(declared(5, balance=Sticky()))
    for target in upstream.targets:
        target.in_flight = 50
        assert {id(upstream.choose(session(upstream, target), [], repeatable=False)) for _ in range(20)} == {id(target)}
        target.in_flight = 0
    for cookie in ("limen-target=unknown", "limen-target=", "limen-target", "other=1"):
        made = make_request(headers=[("cookie", cookie)])
        assert len({id(upstream.choose(made, [], repeatable=False)) for _ in range(50)}) == 5


@pytest.mark.parametrize(
    ("balance", "scheme", "line"),
    [
        (Sticky(), "http", "limen-target={}; Path=/; HttpOnly; SameSite=Lax"),
        (Sticky(), "https", "limen-target={}; Path=/; HttpOnly; SameSite=Lax; Secure"),
        (Sticky(cookie="s", seconds=60), "https", "s={}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"),
    ],
)
def test_the_cookie(balance: Sticky, scheme: str, line: str) -> None:
    upstream = live(declared(2, balance=balance))
    sticky, target = upstream.sticky, upstream.targets[0]
    assert isinstance(sticky, StickyBalancer)
    assert sticky.lines(target, make_request(scheme=scheme)) == [
        (b"set-cookie", line.format(target.cookie.decode()).encode())
    ]
    assert b"10.0.0.1" not in target.cookie
    assert len({one.cookie for one in live(declared(50)).targets}) == 50


def test_the_address_of_a_client_is_a_key() -> None:
    made = targets(8)
    balancer = balancer_of(Hash(client_address), Random(1))
    places = {
        address: balancer.pick(made, make_request(client=address)) for address in ("192.0.2.1", "192.0.2.2", "::1")
    }
    assert all(balancer.pick(made, make_request(client=address)) is place for address, place in places.items())


def test_loaded_dice() -> None:
    made = targets(3, [2, 1, 1])
    balancer = LeastRequestsBalancer(Loaded(0.999999).random)
    assert balancer.pick(made, GET) is made[2]
    assert LeastRequestsBalancer(Loaded(0.0).random).pick(made, GET) is made[0]
