"""The key set of an outside issuer: which keys are used, which are skipped with a reason, and which one a token means."""

import json
import re
from typing import Any

import pytest

from issuing import key, key_set
from limen.auth.issuer.key_set import MOST_KEYS, read_key_set
from tokens import b64

EC, RSA, ED = key("ec"), key("rsa", "RS256"), key("ed", "EdDSA")
ALL = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
PUBLIC: dict[str, Any] = dict(EC.as_dict(private=False))
PUBLIC_RSA: dict[str, Any] = dict(RSA.as_dict(private=False))
SMALL = b64(((1 << 1023) + 1).to_bytes(128, "big")).decode()


def test_keys_serve_what_they_are_made_for() -> None:
    found, skipped = read_key_set(key_set(EC, RSA, ED), ALL)
    assert (len(found), skipped) == (3, [])
    for kid, algorithm, fits in [
        ("ec", "ES256", True),
        ("ec", "ES384", False),
        ("ec", "RS256", False),
        ("rsa", "RS256", True),
        ("rsa", "PS256", True),
        ("rsa", "ES256", False),
        ("ed", "EdDSA", True),
        ("other", "ES256", False),
        ("", "ES256", False),
    ]:
        assert (found.find(kid, algorithm) is not None) is fits, (kid, algorithm)
    assert len(found.thumbprints) == 3


def test_only_the_algorithms_that_are_accepted() -> None:
    found, _ = read_key_set(key_set(EC, RSA, ED), ["ES256"])
    assert (len(found), found.find("rsa", "RS256"), found.find("ed", "EdDSA")) == (1, None, None)
    narrowed, _ = read_key_set(key_set(EC, PUBLIC_RSA | {"alg": "PS256"}), ALL)
    assert narrowed.find("rsa", "RS256") is None
    assert narrowed.find("rsa", "PS256") is not None


def test_without_a_kid_there_must_be_no_choice() -> None:
    nameless = key(None)
    one, _ = read_key_set(key_set(nameless, RSA), ALL)
    assert one.find(None, "ES256") is not None
    assert one.find("x", "ES256") is None
    several, skipped = read_key_set(key_set(nameless, key(None), RSA), ALL)
    assert (several.find(None, "ES256"), skipped) == (None, [])
    assert several.find(None, "RS256") is not None


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "ec"},
        {"kty": "new", "kid": "ec"},
        {"kty": ["EC"]},
        {"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"},
        {"kty": "RSA", "crv": "P-256"} | {"use": "enc"},
        PUBLIC | {"use": "enc"},
        PUBLIC | {"use": 7},
        PUBLIC | {"key_ops": ["encrypt"]},
        PUBLIC | {"alg": "ES384"},
        PUBLIC | {"alg": "HS256"},
        PUBLIC | {"alg": ["ES256"]},
        {},
    ],
)
def test_keys_that_are_for_something_else_are_passed_over_in_silence(entry: dict[str, Any]) -> None:
    found, skipped = read_key_set(key_set(entry, RSA), ALL)
    assert (len(found), skipped) == (1, [])


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (7, "it is no JSON object"),
        (dict(EC.as_dict(private=True)), "its private part is published"),
        (PUBLIC | {"kid": 7}, "its kid is no text"),
        (PUBLIC | {"kid": ""}, "its kid is no text"),
        (PUBLIC | {"x": "AAAA"}, "EC: not a key that can be read"),
        (PUBLIC | {"x": 7}, "EC: not a key that can be read"),
        (PUBLIC | {"y": PUBLIC["x"]}, "EC: not a key that can be read"),
        ({"kty": "RSA", "kid": "r"}, "RSA: not a key that can be read"),
        (PUBLIC_RSA | {"n": SMALL, "kid": "r"}, "RSA: an RSA key of 1024 bits; use at least 2048"),
        (PUBLIC_RSA | {"n": "!" * 400, "kid": "r"}, "RSA: not a key that can be read"),
        (PUBLIC_RSA | {"n": "_" * 1399 + "w", "kid": "r"}, "its modulus has more than 8192 bits"),
        (
            PUBLIC_RSA | {"e": "AQAAAAE", "kid": "r"},
            "its modulus has more than 8192 bits, or its exponent more than 32",
        ),
        (PUBLIC_RSA | {"e": "Ag", "kid": "r"}, "RSA: not a key that can be read"),
        (PUBLIC_RSA, "another one before it has the same kid"),
    ],
)
def test_unsound_keys_are_passed_over_and_told(entry: Any, reason: str) -> None:
    found, skipped = read_key_set(json.dumps({"keys": [PUBLIC_RSA, entry]}).encode(), ALL)
    assert len(found) == 1
    assert skipped[0].startswith(f"key 2 of the set is not used: {reason}")
    assert len(skipped) == 1
    # Neither a private part nor a modulus.
    assert not re.search("[A-Za-z0-9_-]{30}", skipped[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JWK Set"),
        (b"[]", "is no JWK Set"),
        (b"{}", "is no JWK Set"),
        (b'{"keys": {}}', "is no JWK Set"),
        (b'{"keys": [], "keys": []}', "is no JWK Set"),
        (b"{" * 9999, "is no JWK Set"),
        (b'{"keys": "' + b"\xff" + b'"}', "is no JWK Set"),
        (b'{"keys": []}', "the set has no key for ES256"),
        (b'{"keys": [7]}', "the set has no key for ES256; key 1 of the set is not used: it is no JSON object"),
    ],
)
def test_what_is_no_set_of_keys(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_key_set(content, ["ES256"])


def test_a_set_is_bounded() -> None:
    many = [PUBLIC | {"kid": f"k{number}"} for number in range(MOST_KEYS + 1)]
    found, skipped = read_key_set(key_set(*many), ALL)
    assert found.find("k99", "ES256") is not None
    assert found.find("k100", "ES256") is None
    assert skipped == ["the set has 101 keys; those after the first 100 are not looked at"]
