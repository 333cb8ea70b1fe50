"""Tokens parsed and signed; nothing is verified."""

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey

from limen.auth.jose.compact import (
    MOST_BYTES,
    MOST_OUTSIDE_HEADER,
    CompactJws,
    parse_jws,
    parse_outside_jws,
    sign_jws,
)
from limen.auth.jose.jwk import Jwk
from tokens import CHOOSING, b64, token

OFFERED: tuple[dict[str, Any], ...] = tuple(
    each for each in CHOOSING if not {"jku", "jwk", "x5c", "x5u"}.isdisjoint(each)
)
"""Headers that offer a key."""
KEY = Jwk("k", "ES256", ECKey.generate_key("P-256"), "")


def test_there_and_back() -> None:
    made = sign_jws(KEY, {"a": 1}, "limen-test+jwt").encode()
    assert parse_jws(made) == "its header says that it is another type of token (typ)"
    parts = parse_jws(made, frozenset(("limen-test+jwt",)))
    assert isinstance(parts, CompactJws)
    assert (parts.algorithm, parts.kid, json.loads(parts.payload)) == ("ES256", "k", {"a": 1})
    assert KEY.verifies(parts.signing_input, parts.signature)
    assert made == parts.signing_input + b"." + b64(parts.signature)


def test_a_key_without_a_name_is_not_named() -> None:
    parts = parse_jws(sign_jws(Jwk("", "ES256", KEY.key, ""), {}).encode())
    assert isinstance(parts, CompactJws)
    assert parts.kid is None


@pytest.mark.parametrize("size", [MOST_BYTES, MOST_BYTES + 1])
def test_the_bound_is_exact(size: int) -> None:
    head = b64(b'{"alg":"x"}') + b"."
    room = size - len(head) - 5
    payload = b"A" * (room - (1 if room % 4 == 1 else 0))
    last = b"A" * (size - len(head) - len(payload) - 1)
    made = head + payload + b"." + last
    assert len(made) == size
    assert isinstance(parse_jws(made), CompactJws) is (size <= MOST_BYTES)
    assert isinstance(parse_outside_jws(made, MOST_BYTES), CompactJws) is (size <= MOST_BYTES)
    assert isinstance(parse_outside_jws(made, MOST_BYTES + 1), CompactJws)


@pytest.mark.parametrize("header", [{"nonce": "x"}, {"pi.atm": "k9"}, {"cty": "JWT"}, {"x": [1]}, *OFFERED], ids=repr)
def test_what_others_say_in_the_header_means_nothing_to_us(header: dict[str, Any]) -> None:
    made = token(header)
    assert parse_jws(made) == "its header has names that this gateway never writes"
    parts = parse_outside_jws(made, MOST_BYTES)
    assert isinstance(parts, CompactJws)
    assert (parts.algorithm, parts.kid) == ("HS256", None)


@pytest.mark.parametrize(
    "header",
    [each for each in CHOOSING if each not in OFFERED and "alg" not in each and "kid" not in each],
    ids=repr,
)
def test_what_changes_the_meaning_is_refused_from_anybody(header: dict[str, Any]) -> None:
    assert isinstance(parse_jws(token(header)), str)
    assert isinstance(parse_outside_jws(token(header), MOST_BYTES), str)


@pytest.mark.parametrize(
    ("typ", "taken"),
    [
        ("JWT", True),
        ("JOSE", True),
        ("at+jwt", True),
        ("Bearer", True),
        ("logout+jwt", False),
        ("application/secevent+jwt", False),
        ("identity+jwt", False),
        ("dpop+JWT", False),
    ],
)
def test_a_type_from_outside_is_a_hint_unless_it_is_of_another_kind(typ: str, taken: bool) -> None:
    assert isinstance(parse_outside_jws(token({"typ": typ}), MOST_BYTES), CompactJws) is taken


def test_the_header_of_a_token_from_outside_is_bounded_on_its_own() -> None:
    for size, taken in ((MOST_OUTSIDE_HEADER // 2, True), (MOST_OUTSIDE_HEADER, False)):
        assert isinstance(parse_outside_jws(token({"x5c": ["A" * size]}), 65536), CompactJws) is taken
