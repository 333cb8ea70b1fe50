"""Assertions: what they say, when a new one is signed, and which keys may sign."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OctKey
from joserfc.jws import JWSRegistry

from limen.auth.assertion import Assertion
from limen.auth.assertion_live import Asserter
from limen.auth.jose.keys import Keys
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from tokens import NOW, SECRET, pair

EC, ED, RSA = (pair(algorithm) for algorithm in ("ES256", "EdDSA", "RS256"))
PEM = EC[0].decode()


def caller(**claims: object) -> Principal:
    return Principal("7", frozenset(("editor", "admin")), frozenset(("b", "a")), claims)


def read(line: bytes, asserter: Asserter) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take a line apart, and verify it with what the gateway publishes."""
    name, _, rest = line.partition(b": ")
    assert name == b"request-identity"
    assert rest.endswith(b"\r\n")
    assert rest.count(b"\n") == 1
    registry = JWSRegistry(algorithms=["ES256", "EdDSA"])
    for algorithm in registry.algorithms.values():
        algorithm.security_warning = None
    published: Any = json.loads(json.dumps(asserter.public(NOW)))
    found = jws.deserialize_compact(rest[:-2], KeySet.import_key_set(published), registry=registry)
    return found.headers(), json.loads(found.payload)


@pytest.mark.parametrize(("key", "algorithm"), [(EC[0], "ES256"), (ED[0], "EdDSA")])
def test_it_says_who_calls_whom_and_until_when(key: bytes, algorithm: str) -> None:
    asserter = Asserter(Assertion(key.decode()))
    header, claims = read(asserter.line(caller(sid="s-1"), "orders", "r-1", NOW + 0.5), asserter)
    assert header == {"alg": algorithm, "typ": "identity+jwt", "kid": asserter.public(NOW)["keys"][0]["kid"]}
    assert claims == {
        "iss": "limen",
        "aud": "orders",
        "sub": "7",
        "roles": ["admin", "editor"],
        "scope": "a b",
        "sid": "s-1",
        "request_id": "r-1",
        "iat": NOW,
        "exp": NOW + 60,
    }


@pytest.mark.parametrize("sid", [None, "", 7, ["s"]])
def test_no_session_is_no_claim(sid: object) -> None:
    asserter = Asserter(Assertion(PEM, issuer="https://gateway.example"))
    _, claims = read(asserter.line(caller(sid=sid), "orders", "r", NOW), asserter)
    assert "sid" not in claims
    assert claims["iss"] == "https://gateway.example"


def test_one_serves_until_three_quarters_of_its_lifetime_are_over() -> None:
    asserter = Asserter(Assertion(PEM, lifetime=timedelta(seconds=100)))
    who = caller()
    first = asserter.line(who, "orders", "r-1", NOW)
    assert asserter.line(who, "orders", "r-2", NOW + 74.9) is first
    second = asserter.line(who, "orders", "r-3", NOW + 75)
    assert read(second, asserter)[1]["exp"] == NOW + 175
    assert read(second, asserter)[1]["request_id"] == "r-3"


def test_a_clock_set_back_makes_a_new_one() -> None:
    asserter = Asserter(Assertion(PEM))
    who = caller()
    asserter.line(who, "orders", "r", NOW)
    assert read(asserter.line(who, "orders", "r", NOW - 3600), asserter)[1]["iat"] == NOW - 3600


def test_each_service_and_each_caller_gets_its_own() -> None:
    asserter = Asserter(Assertion(PEM))
    one, other = caller(), Principal("8", frozenset(("default",)))
    lines = [asserter.line(who, name, "r", NOW) for who in (one, other) for name in ("orders", "users")]
    told = [(claims["sub"], claims["aud"]) for claims in (read(line, asserter)[1] for line in lines)]
    assert told == [("7", "orders"), ("7", "users"), ("8", "orders"), ("8", "users")]


def test_two_gateways_of_one_process_do_not_share() -> None:
    one, other = Asserter(Assertion(PEM)), Asserter(Assertion(PEM, issuer="other"))
    who = caller()
    assert read(one.line(who, "orders", "r", NOW), one)[1]["iss"] == "limen"
    assert read(other.line(who, "orders", "r", NOW), other)[1]["iss"] == "other"


def test_nothing_of_a_token_breaks_out_of_the_line() -> None:
    asserter = Asserter(Assertion(PEM))
    hostile = Principal("7\r\nx: y", frozenset(("ü\n",)), frozenset(), {"sid": "\r\n"})
    _, claims = read(asserter.line(hostile, "orders", "r", NOW), asserter)
    assert claims["sub"] == "7\r\nx: y"


def test_it_is_no_access_token_even_with_the_same_key() -> None:
    line = Asserter(Assertion(PEM, issuer="me")).line(caller(), "orders", "r", NOW)
    config = Jwt(PEM, ["ES256"], id_claim="sub", role_claim="roles")
    found = Verifier(config).verify(line[18:-2], NOW)
    assert isinstance(found, Fault)
    assert found.kind is Kind.TOKEN_CORRUPTED


def jwk(kid: str, **more: object) -> dict[str, object]:
    key = ECKey.generate_key("P-256")
    return {**key.as_dict(private=True), "kid": kid, "alg": "ES256", **more}


def written(path: Path, *keys: dict[str, object]) -> None:
    path.write_text(json.dumps({"keys": keys}))
    path.chmod(0o600)


def test_a_new_key_signs_what_is_made_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old = jwk("old", iat=1)
    written(path, old)
    asserter = Asserter(Assertion(Keys.file(path)))
    who = caller()
    assert read(asserter.line(who, "orders", "r", NOW), asserter)[0]["kid"] == "old"
    written(path, old | {"exp": NOW + 3600}, jwk("new", iat=2))
    assert read(asserter.line(who, "users", "r", NOW + 10), asserter)[0]["kid"] == "new"
    # What was made before is used on; the old key is still published.
    assert read(asserter.line(who, "orders", "r", NOW + 10), asserter)[0]["kid"] == "old"
    assert read(asserter.line(who, "orders", "r", NOW + 45), asserter)[0]["kid"] == "new"


def test_no_request_ends_because_the_last_key_was_retired(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys.json"
    only = jwk("only")
    written(path, only)
    asserter = Asserter(Assertion(Keys.file(path)))
    written(path, only | {"exp": NOW + 3600})
    assert read(asserter.line(caller(), "orders", "r", NOW + 10), asserter)[0]["kid"] == "only"
    assert "the last key signs on: every private key is retired" in caplog.text


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (EC[1].decode(), "Assertion: the key is public"),
        (RSA[0].decode(), "Assertion: .*RSA"),
        (json.dumps({**OctKey.generate_key(256).as_dict(private=True), "kid": "k", "alg": "HS256"}), "HS256"),
        (json.dumps({"keys": []}), "Assertion: .*no key"),
        ("secret", "Assertion: "),
        (SECRET.decode(), "Assertion: "),
    ],
)
def test_keys_that_cannot_vouch_are_refused_at_the_start(keys: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Asserter(Assertion(keys))
    assert "secret" not in str(caught.value)
    assert SECRET.decode() not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"issuer": ""}, "issuer"),
        ({"issuer": "a\nb"}, "issuer"),
        ({"lifetime": timedelta(seconds=9)}, "lifetime"),
        ({"lifetime": timedelta(minutes=11)}, "lifetime"),
    ],
)
def test_what_no_service_could_rely_on_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"Assertion: {message}"):
        Assertion(PEM, **options)


def test_nothing_shows_a_key() -> None:
    asserter = Asserter(Assertion(PEM))
    for shown in (repr(Assertion(PEM)), repr(Assertion(Keys.of(PEM))), repr(asserter)):
        assert "BEGIN" not in shown
    assert repr(asserter).startswith("<Asserter limen <Keyring ")
    assert "d" not in asserter.public(NOW)["keys"][0]
