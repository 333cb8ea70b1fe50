"""Tokens taken apart and put together, with nobody believed."""

import json

import pytest
from joserfc.jwk import ECKey

from limen.declare.compact import MOST_BYTES, dissect, issuer_of, signed
from limen.declare.jwk import Jwk
from tokens import b64, claims, sign, token

KEY = Jwk("k", "ES256", ECKey.generate_key("P-256"), "")


def test_there_and_back() -> None:
    made = signed(KEY, {"a": 1}, "limen-test+jwt").encode()
    assert dissect(made) is None
    parts = dissect(made, frozenset(("limen-test+jwt",)))
    assert parts is not None
    assert (parts.algorithm, parts.kid, json.loads(parts.payload)) == ("ES256", "k", {"a": 1})
    assert KEY.verifies(parts.signed, parts.signature)
    assert made == parts.signed + b"." + b64(parts.signature)


def test_a_key_without_a_name_is_not_named() -> None:
    parts = dissect(signed(Jwk("", "ES256", KEY.key, ""), {}).encode())
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
    assert (dissect(made) is None) is (size > MOST_BYTES)


def test_who_a_token_says_it_is_from() -> None:
    assert issuer_of(token(iss="https://idp.example")) == "https://idp.example"
    # Not verified, whatever signed it.
    assert issuer_of(sign({"alg": "HS256"}, claims(iss="a"), key=b"x" * 32)) == "a"
    for none in (token(), token(iss=7), token(iss=["a"]), b"", b"a.b.c", sign({"alg": "HS256"}, b"[]"), b"." * 9000):
        assert issuer_of(none) is None
