"""Tokens parsed and signed; nothing is verified."""

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey

from limen.auth.jose.compact import MOST_BYTES, parse_jws, sign_jws
from limen.auth.jose.jwk import Jwk
from tokens import CHOOSING, b64, token

KEY = Jwk("k", "ES256", ECKey.generate_key("P-256"), "")


def test_there_and_back() -> None:
    made = sign_jws(KEY, {"a": 1}, "limen-test+jwt").encode()
    assert parse_jws(made) is None
    parts = parse_jws(made, frozenset(("limen-test+jwt",)))
    assert parts is not None
    assert (parts.algorithm, parts.kid, json.loads(parts.payload)) == ("ES256", "k", {"a": 1})
    assert KEY.verifies(parts.signing_input, parts.signature)
    assert made == parts.signing_input + b"." + b64(parts.signature)


def test_a_key_without_a_name_is_not_named() -> None:
    parts = parse_jws(sign_jws(Jwk("", "ES256", KEY.key, ""), {}).encode())
    assert parts is not None
    assert parts.kid is None


@pytest.mark.parametrize("size", [MOST_BYTES, MOST_BYTES + 1])
def test_the_bound_is_exact(size: int) -> None:
    head = b64(b'{"alg":"x"}') + b"."
    room = size - len(head) - 5
    payload = b"A" * (room - (1 if room % 4 == 1 else 0))
    last = b"A" * (size - len(head) - len(payload) - 1)
    made = head + payload + b"." + last
    assert len(made) == size
    assert (parse_jws(made) is None) is (size > MOST_BYTES)


@pytest.mark.parametrize("header", [{"nonce": "x"}, {"pi.atm": "k9"}, {"cty": "JWT"}, {"x": [1]}], ids=repr)
def test_what_others_say_may_mean_nothing_to_us(header: dict[str, Any]) -> None:
    made = token(header)
    assert parse_jws(made) is None
    assert parse_jws(made, ignore_unknown=True) is not None


@pytest.mark.parametrize("header", [each for each in CHOOSING if "alg" not in each and "kid" not in each], ids=repr)
def test_what_chooses_is_refused_from_anybody(header: dict[str, Any]) -> None:
    assert parse_jws(token(header), ignore_unknown=True) is None
