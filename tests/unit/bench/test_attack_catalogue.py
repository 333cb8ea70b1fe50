"""The catalogue of ``bench.attacks``: each attack can be built, and reaches the limit that it names without exceeding it."""

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

from bench.attacks import requests  # bench is no package of ours: it is found from the root
from bench.attacks.catalogue import ANCHORS, ATTACKS, Attack, attack_named
from bench.attacks.requests import KiB

from limen.auth.jose.compact import MOST_BYTES
from limen.client.limits import ClientLimits

_LIMITS = ClientLimits()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_an_attack_can_be_made(attack: Attack) -> None:
    assert attack_named(attack.name) is attack
    assert set(attack.anchors) <= set(ANCHORS)
    assert callable(attack.behaviour())


@pytest.mark.parametrize("body", [requests.unknown_members, requests.wrong_types, requests.valid])
@pytest.mark.parametrize("size", [256 * KiB, 1024 * KiB])
def test_a_body_fills_its_limit(body: Callable[[int], bytes], size: int) -> None:
    found = body(size)
    assert size - 512 < len(found) <= size
    if size > 256 * KiB:  # the smaller one has room for fewer
        assert 59_000 < found.count(b",") < 65_000  # of 65,536 values


@pytest.mark.parametrize(
    "request_",
    [
        requests.many_fields(100),
        requests.long_header("cookie", "a=b", "; "),
        requests.long_header("via", "1.1 a", ", "),
        requests.long_header("forwarded", "for=192.0.2.1", ", "),
    ],
    ids=["lines", "cookie", "via", "forwarded"],
)
def test_a_head_is_near_the_limit_and_within(request_: bytes) -> None:
    assert _LIMITS.head - 4 * KiB < len(request_) <= _LIMITS.head
    assert request_.count(b"\r\n") - 2 <= _LIMITS.fields


def test_a_query_and_a_token_are_near_the_limit_and_within() -> None:
    cells = requests.long_query(1000, "12345").partition(b"\r\n")[0]
    assert _LIMITS.request_line - 256 < len(cells) <= _LIMITS.request_line
    token = requests.forged_token(Random("1")).partition(b"Bearer ")[2].partition(b"\r\n")[0]
    assert MOST_BYTES - 512 < len(token) <= MOST_BYTES


def test_forged_credentials_differ_each_time_and_repeat_with_the_seed() -> None:
    for make in (requests.forged_token, requests.forged_key):
        rng = Random("1")
        assert make(rng) != make(rng)
        assert make(Random("2")) == make(Random("2"))


def test_the_first_flight_of_a_handshake() -> None:
    assert requests.client_hello().startswith(b"\x16\x03")
