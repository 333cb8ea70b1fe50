"""The key set of an outside issuer: which keys are used, which are skipped with a reason, and which one a token means."""

import json
import re
from typing import Any

import pytest

from issuing import key, key_set
from limen.auth.issuer.key_set import MOST_KEYS, MOST_TRIED, read_key_set
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
        assert bool(found.find(kid, algorithm)) is fits, (kid, algorithm)
    assert len(found.thumbprints) == 3


def test_only_the_algorithms_that_are_accepted() -> None:
    found, _ = read_key_set(key_set(EC, RSA, ED), ["ES256"])
    assert (len(found), found.find("rsa", "RS256"), found.find("ed", "EdDSA")) == (1, (), ())
    narrowed, _ = read_key_set(key_set(EC, PUBLIC_RSA | {"alg": "PS256"}), ALL)
    assert narrowed.find("rsa", "RS256") == ()
    assert len(narrowed.find("rsa", "PS256")) == 1


def test_keys_without_a_kid_may_be_the_one_that_a_token_names() -> None:
    nameless = key(None)
    one, _ = read_key_set(key_set(nameless, RSA), ALL)
    assert len(one.find(None, "ES256")) == 1
    assert one.find("x", "ES256") == one.find(None, "ES256")
    assert one.find("x", "RS256") == ()
    assert one.find("rsa", "RS256") == one.find(None, "RS256")
    several, skipped = read_key_set(key_set(nameless, key(None), RSA), ALL)
    assert (len(several.find(None, "ES256")), len(several.find("x", "ES256")), skipped) == (2, 2, [])
    many, _ = read_key_set(key_set(*(key(None) for _ in range(MOST_TRIED + 1))), ALL)
    # Each one that is tried is a signature to check, for anybody who sends a token.
    assert (many.find(None, "ES256"), many.find("x", "ES256")) == ((), ())


def test_in_a_set_of_many_tenants_a_key_may_be_of_one_alone() -> None:
    url = "https://login.example/{tenantid}/v2.0"
    found, _ = read_key_set(key_set(PUBLIC | {"issuer": url.format(tenantid="one")}, PUBLIC_RSA | {"issuer": url}), ALL)
    (bound,), (free,) = found.find("ec", "ES256"), found.find("rsa", "RS256")
    assert [found.serves(bound, url.format(tenantid=name)) for name in ("one", "two")] == [True, False]
    assert [found.serves(free, url.format(tenantid=name)) for name in ("one", "two")] == [True, True]


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
    assert len(found.find("k99", "ES256")) == 1
    assert found.find("k100", "ES256") == ()
    assert skipped == ["the set has 101 keys; those after the first 100 are not looked at"]
