"""Whom a service believes: every way in which an assertion can be wrong, and what is remembered of a good one."""

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from limen_kit.assertion import LEEWAY, MOST_BYTES, Refused, Verifier
from limen_kit.identity import Identity
from limen_kit.keys import Given, read
from limen_kit.testing import Signer
from vouching import GOOD, NOW, SIGNER, reason, token, verifier


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: dict[str, Any], signature: bytes = b"x" * 64, claims: object = None) -> str:
    about = GOOD | {"iss": "limen", "aud": "orders"} if claims is None else claims
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(about).encode())}.{b64(signature)}"


def kid() -> str:
    return next(iter(read(SIGNER.keys, strict=True)))


async def test_a_good_one() -> None:
    assert await verifier().verify(token(), NOW) == Identity("7", frozenset(("admin",)), frozenset(("a", "b")), "s")
    bare = await verifier().verify(token("sid", "scope", roles=[]), NOW)
    assert bare == Identity("7", frozenset(), frozenset(), None)


@pytest.mark.parametrize("kind", ["EdDSA", "RS256", "Ed448"])
async def test_other_kinds_of_keys(kind: str) -> None:
    key: OKPKey | RSAKey = RSAKey.generate_key(2048) if kind == "RS256" else OKPKey.generate_key("Ed25519")
    if kind == "Ed448":
        key = OKPKey.generate_key("Ed448")
    algorithm = "RS256" if kind == "RS256" else "EdDSA"
    registry = JWSRegistry(algorithms=[algorithm])
    for one in registry.algorithms.values():
        one.security_warning = None
    public = {**key.as_dict(private=False), "kid": "k"}
    claims = json.dumps(GOOD | {"iss": "limen", "aud": "orders"})
    header = {"alg": algorithm, "typ": "identity+jwt", "kid": "k"}
    made = jws.serialize_compact(header, claims, key, registry=registry)
    of = verifier(json.dumps({"keys": [public]}))
    assert (await of.verify(made, NOW)).subject == "7"
    assert "signature" in await reason(made[:-12] + "A" * 12, of=of)


async def test_expired() -> None:
    made = token()
    assert await verifier().verify(made, NOW + 60 + LEEWAY - 0.1)
    assert await reason(made, NOW + 60 + LEEWAY) == "it has expired"


async def test_from_the_future() -> None:
    assert await verifier().verify(token(iat=NOW + LEEWAY - 1), NOW)
    assert "future" in await reason(token(iat=NOW + LEEWAY + 1))


@pytest.mark.parametrize("audience", ["users", "", ["orders"], ["orders", "users"], None, 7, "Orders", "orders "])
async def test_replayed_to_another_service(audience: object) -> None:
    assert "another service" in await reason(token(aud=audience))


@pytest.mark.parametrize("issuer", ["other", "", None, ["limen"], 7])
async def test_of_another_issuer(issuer: object) -> None:
    assert "another issuer" in await reason(token(iss=issuer))


async def test_another_issuer_may_be_expected() -> None:
    of = Verifier(Given(SIGNER.keys), audience="orders", issuer="https://g.example")
    assert await of.verify(token(iss="https://g.example"), NOW)
    assert "another issuer" in await reason(token(), of=of)


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "roles"])
async def test_a_claim_that_is_missing(claim: str) -> None:
    assert "missing" in await reason(token(claim))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": 1e300},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": -1},
        {"iat": None},
        {"iat": []},
        {"sub": 7},
        {"sub": ""},
        {"sub": "7\n"},
        {"sub": " 7"},
        {"sub": "é"},
        {"sub": "x" * 600},
        {"sub": None},
        {"roles": "admin"},
        {"roles": [7]},
        {"roles": ["a\nb"]},
        {"roles": {"admin": 1}},
        {"scope": ["a"]},
        {"sid": 7},
        {"sid": ""},
    ],
)
async def test_a_claim_of_the_wrong_type(changes: dict[str, Any]) -> None:
    # NaN and Infinity would be refused by honest libraries; what signs is ours, but mistakes are made.
    assert await reason(SIGNER.token(GOOD | changes))


async def test_signed_with_another_key_of_the_same_name() -> None:
    other = Signer("orders")
    made = other.token(GOOD, kid=kid())
    assert await reason(made) == "its signature is wrong"


async def test_an_unknown_key() -> None:
    assert "kid" in await reason(Signer("orders").token(GOOD))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", [b"", b"x"])
async def test_unsigned(algorithm: str, signature: bytes) -> None:
    assert await reason(forged({"alg": algorithm, "typ": "identity+jwt", "kid": kid()}, signature))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_signed_with_the_public_key_as_a_secret(algorithm: str) -> None:
    public = read(SIGNER.keys, strict=True)[kid()].key
    assert isinstance(public, ECKey)
    header = b64(json.dumps({"alg": algorithm, "typ": "identity+jwt", "kid": kid()}).encode())
    text = f"{header}.{b64(json.dumps(GOOD | {'iss': 'limen', 'aud': 'orders'}).encode())}"
    member = json.loads(SIGNER.keys)["keys"][0]
    for secret in (public.as_pem(private=False), SIGNER.keys.encode(), json.dumps(member).encode()):
        mac = hmac.new(secret, text.encode(), f"sha{algorithm[2:]}").digest()
        assert "algorithm" in await reason(f"{text}.{b64(mac)}")


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256", "ES384", "ES512", "PS256", "Ed25519", 7, None, ["ES256"]])
async def test_the_token_does_not_choose_the_algorithm(algorithm: object) -> None:
    assert await reason(forged({"alg": algorithm, "typ": "identity+jwt", "kid": kid()}))


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(63), b"\xff" * 64, bytes(640)])
async def test_signatures_that_are_none(signature: bytes) -> None:
    assert await reason(forged({"alg": "ES256", "typ": "identity+jwt", "kid": kid()}, signature))


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "", None, "IDENTITY+JWT ", 7])
async def test_another_kind_of_token_of_the_same_gateway(kind: object) -> None:
    made = (
        SIGNER.token(GOOD, typ=kind) if isinstance(kind, str) else forged({"alg": "ES256", "typ": kind, "kid": kid()})
    )
    assert "header" in await reason(made)


@pytest.mark.parametrize(
    "more",
    [
        {"jwk": {"kty": "EC"}},
        {"jku": "https://evil.example"},
        {"x5u": "https://evil.example"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"]},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
        {"cty": "JWT"},
    ],
)
async def test_a_header_that_says_more(more: dict[str, Any]) -> None:
    assert await reason(forged({"alg": "ES256", "typ": "identity+jwt", "kid": kid()} | more))


@pytest.mark.parametrize("name", ["../../etc/passwd", "' OR 1=1 --", "", 7, None, ["k"], {"k": 1}, "\x00", "x" * 9999])
async def test_names_of_keys_that_are_none(name: object) -> None:
    assert await reason(forged({"alg": "ES256", "typ": "identity+jwt", "kid": name}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "x",
        "a.b.c",
        "." * 5000,
        "é.é.é",
        b64(b"[]") + ".e30.eA",
        b64(b'["alg","kid","typ"]') + ".e30.eA",
        b64(b'"alg"') + ".e30.eA",
        b64(b"7") + ".e30.eA",
        b64(b"null") + ".e30.eA",
        b64(b"[" * 500) + ".e30.eA",
        b64(b"\xff\xfe") + ".e30.eA",
        "A" * (MOST_BYTES + 1),
    ],
)
async def test_what_is_no_token(text: str) -> None:
    assert await reason(text)


async def test_cut_bent_and_lengthened_tokens() -> None:
    made = token()
    head, body, signature = made.split(".")
    for bad in (
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{made}.",
        f"{made}.x",
        f"{made} ",
        f" {made}",
        f"{made}\x00",
        f"{head}.{b64(json.dumps(GOOD | {'sub': '1'}).encode())}.{signature}",
        f"Bearer {made}",
        f"{head}.{body}.{signature[:9]}!!!!{signature[9:]}",
        f"{head}.{body}.{signature}==",
        f"{head[:9]}****{head[9:]}.{body}.{signature}",
    ):
        assert await reason(bad), bad


@pytest.mark.parametrize(
    "payload", ["[]", '"x"', "7", "null", "{", "", '{"sub": "1", "sub": "2"}', "[" * 5000, "\ud800"]
)
async def test_payloads_that_are_no_claims(payload: str) -> None:
    key = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "typ": "identity+jwt", "kid": "k"}
    made = jws.serialize_compact(header, payload.encode("utf-8", "surrogatepass"), key, algorithms=["ES256"])
    assert await reason(made, of=verifier(json.dumps({**key.as_dict(private=False), "kid": "k"})))


@given(st.data())
async def test_no_change_of_a_byte_is_believed_or_raises_anything_else(data: st.DataObject) -> None:
    made = bytearray(token().encode())
    place = data.draw(st.integers(0, len(made) - 1))
    made[place] = data.draw(st.integers(0, 127).filter(lambda byte: byte != made[place]))
    try:
        found = await verifier().verify(made.decode(), NOW)
    except Refused:
        return
    # The last character of a signature has bits that mean nothing.
    assert place == len(made) - 1
    assert found.subject == "7"
