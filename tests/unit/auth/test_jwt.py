"""Tokens: what is believed, for how long, and that nothing random gets further than a Fault.

Bad tokens that somebody thought of are in the corpus, see ``test_jwt_hostile``.
"""

import json
from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.auth import issue as issue_now
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import MOST_BYTES, Verifier, issue
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from tokens import NOW, SECRET, b64, kept_pair, sign, token

HS = Jwt(SECRET)


def kind_of(algorithm: str) -> str:
    """Return the algorithm whose key serves this one too."""
    return "RS256" if algorithm[:2] in ("RS", "PS") else algorithm


def verdict(given: bytes, config: Jwt = HS, now: float = NOW) -> Kind | Principal:
    found = Verifier(config).verify(given, now)
    return found.kind if isinstance(found, Fault) else found


def test_an_honest_token() -> None:
    found = verdict(token(scope="a:read  b:read", tenant="x"))
    assert isinstance(found, Principal)
    assert (found.id, found.roles, found.scopes) == ("7", {"admin"}, {"a:read", "b:read"})
    assert found.claims["tenant"] == "x"
    assert "tenant" not in repr(found)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_secrets_sign_and_verify(algorithm: str) -> None:
    config = Jwt(SECRET * 2, [algorithm], issuer="me", audience="shop", lifetime=timedelta(seconds=10))
    made = issue(config, 7, "admin", NOW, jti="one").encode()
    found = verdict(made, config)
    assert isinstance(found, Principal)
    assert found.claims == {
        "id": 7,
        "user_type": "admin",
        "iat": NOW,
        "exp": NOW + 10,
        "jti": "one",
        "iss": "me",
        "aud": "shop",
    }
    assert verdict(made, config, NOW + 10) is Kind.TOKEN_EXPIRED
    assert verdict(made, Jwt(b"x" * 64, [algorithm])) is Kind.TOKEN_CORRUPTED


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"])
def test_pem_keys_sign_and_verify(algorithm: str) -> None:
    private, public = kept_pair(kind_of(algorithm))
    made = issue(Jwt(private, [algorithm]), "ann", "admin", NOW).encode()
    for key in (private, public):
        found = verdict(made, Jwt(key, [algorithm]))
        assert isinstance(found, Principal)
        assert found.id == "ann"
    assert verdict(made[:-8] + b"AAAAAAAA", Jwt(public, [algorithm])) is Kind.TOKEN_CORRUPTED
    assert verdict(made, Jwt(kept_pair(kind_of(algorithm), 1)[1], [algorithm])) is Kind.TOKEN_CORRUPTED


@pytest.mark.parametrize(
    ("algorithm", "other"),
    [
        ("RS256", None),
        ("RS256", "ES256"),
        ("ES256", "RS256"),
        ("ES256", "ES384"),
        ("ES384", "ES256"),
        ("ES256", "EdDSA"),
        ("EdDSA", "ES256"),
    ],
)
def test_a_key_of_another_kind_is_refused_at_the_start(algorithm: str, other: str | None) -> None:
    key = b"-----BEGIN NOTHING-----" if other is None else kept_pair(other)[1]
    with pytest.raises(ValueError, match=f"Jwt: the key does not serve {algorithm}"):
        Verifier(Jwt(key, [algorithm]))


def test_one_key_serves_all_algorithms_or_none() -> None:
    Verifier(Jwt(kept_pair("RS256")[1], ["RS256", "PS256"]))
    with pytest.raises(ValueError, match="does not serve ES384: its curve is P-256"):
        Verifier(Jwt(kept_pair("ES256")[1], ["ES256", "ES384"]))
    with pytest.raises(ValueError, match="does not serve ES256"):
        Verifier(Jwt(kept_pair("RS256")[1], ["RS256", "ES256"]))


def test_a_public_key_cannot_issue() -> None:
    with pytest.raises(ValueError, match="Jwt: the key is public and signs nothing; give the private key"):
        issue(Jwt(kept_pair("ES256")[1], ["ES256"]), 7, "admin", NOW)


def test_issue_begins_now() -> None:
    made = issue_now(HS, 7, "admin").encode()
    assert json.loads(_payload(made))["exp"] - json.loads(_payload(made))["iat"] == 15 * 60


def _payload(made: bytes) -> bytes:
    part = made.split(b".")[1]
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


@pytest.mark.parametrize(
    ("leeway", "exp", "nbf", "expected"),
    [
        (0, NOW + 0.5, None, None),
        (0, NOW, None, Kind.TOKEN_EXPIRED),
        (0, NOW - 1, None, Kind.TOKEN_EXPIRED),
        (0, 0, None, Kind.TOKEN_EXPIRED),
        (5, NOW - 4, None, None),
        (5, NOW - 5, None, Kind.TOKEN_EXPIRED),
        (0, NOW + 9, NOW, None),
        (0, NOW + 9, NOW + 1, Kind.TOKEN_CORRUPTED),
        (5, NOW + 9, NOW + 5, None),
        (5, NOW + 9, NOW + 6, Kind.TOKEN_CORRUPTED),
    ],
)
def test_times(leeway: int, exp: float, nbf: float | None, expected: Kind | None) -> None:
    found = verdict(token(exp=exp, nbf=nbf), Jwt(SECRET, leeway=leeway))
    assert isinstance(found, Principal) if expected is None else found is expected


@pytest.mark.parametrize("who", [0, -1, "ann", "a b", "x" * 256])
def test_ids_are_numbers_or_printable_text(who: int | str) -> None:
    found = verdict(token(id=who))
    assert isinstance(found, Principal)
    assert found.id == str(who)


def test_roles_and_scopes_may_be_lists() -> None:
    found = verdict(token(user_type=["a", "b"], scope=["c", "d e"]))
    assert isinstance(found, Principal)
    assert (found.roles, found.scopes) == ({"a", "b"}, {"c", "d e"})
    odd: tuple[Any, ...] = (7, ["a", 7], {})
    for scope in odd:
        found = verdict(token(scope=scope))
        assert isinstance(found, Principal)
        assert not found.scopes


def test_claims_have_the_names_that_were_configured() -> None:
    config = Jwt(SECRET, id_claim="sub", role_claim="role", scope_claim="scp")
    found = verdict(token(sub="ann", role="boss", scp="x", id="evil", user_type="evil"), config)
    assert isinstance(found, Principal)
    assert (found.id, found.roles, found.scopes) == ("ann", {"boss"}, {"x"})
    assert verdict(token(), config) is Kind.TOKEN_CORRUPTED


@pytest.mark.parametrize("audience", ["shop", ["other", "shop"]])
def test_issuer_and_audience(audience: object) -> None:
    config = Jwt(SECRET, issuer="me", audience="shop")
    assert isinstance(verdict(token(iss="me", aud=audience), config), Principal)


def test_a_token_may_be_large() -> None:
    small = token(x="y" * 5000)
    assert len(small) < MOST_BYTES
    assert isinstance(verdict(small), Principal)


@given(st.binary(max_size=200) | st.lists(st.binary(max_size=40).map(b64), max_size=6).map(b".".join))
def test_random_bytes_are_a_fault(given: bytes) -> None:
    for config in (HS, Jwt(kept_pair("ES256")[1], ["ES256"])):
        assert isinstance(verdict(given, config), Kind)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "cty"]), JSON, max_size=4),
    st.dictionaries(st.sampled_from(["id", "user_type", "exp", "nbf", "iat", "scope", "iss", "aud"]), JSON, max_size=8),
    st.booleans(),
)
def test_signed_nonsense_never_raises(header: dict[str, Any], payload: dict[str, Any], honest: bool) -> None:
    signed = sign({**header, "alg": "HS256"} if honest else header, payload)
    config = Jwt(SECRET, audience="a", issuer="b")
    assert isinstance(verdict(signed, config), Kind)
    verdict(signed)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_is_a_fault(place: int, change: int) -> None:
    made = bytearray(token())
    # The last character too, whose last bits mean nothing (RFC 4648 section 3.5): a token has one spelling.
    made[place % len(made)] ^= change
    assert isinstance(verdict(bytes(made)), Kind)
