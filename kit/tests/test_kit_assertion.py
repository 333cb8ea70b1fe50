"""The verification of assertions: every way in which one can be wrong."""

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

from limen_kit.assertion import LEEWAY, MAX_BYTES, AssertionVerifier, InvalidAssertion
from limen_kit.keys import StaticKeys, parse_jwks
from limen_kit.principal import Identity
from limen_kit.testing import Signer
from limen_kit.testing.assertions import CLAIMS, NOW, SIGNER, make_verifier, refusal_reason, token


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], signature: bytes = b"x" * 64, claims: object = None) -> str:
    about = CLAIMS | {"iss": "limen", "aud": "orders"} if claims is None else claims
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(about).encode())}.{b64(signature)}"


def kid() -> str:
    return next(iter(parse_jwks(SIGNER.keys, strict=True)))


async def test_a_valid_assertion() -> None:
    assert await make_verifier().verify(token(), NOW) == Identity(
        "7", frozenset(("admin",)), frozenset(("a", "b")), "s"
    )
    bare = await make_verifier().verify(token("sid", "scope", roles=[]), NOW)
    assert bare == Identity("7", frozenset(), frozenset(), None)


@pytest.mark.parametrize("key_type", ["EdDSA", "RS256", "Ed448"])
async def test_other_kinds_of_keys(key_type: str) -> None:
    key: OKPKey | RSAKey = RSAKey.generate_key(2048) if key_type == "RS256" else OKPKey.generate_key("Ed25519")
    if key_type == "Ed448":
        key = OKPKey.generate_key("Ed448")
    algorithm = "RS256" if key_type == "RS256" else "EdDSA"
    registry = JWSRegistry(algorithms=[algorithm])
    for implementation in registry.algorithms.values():
        implementation.security_warning = None
    public = {**key.as_dict(private=False), "kid": "k"}
    claims = json.dumps(CLAIMS | {"iss": "limen", "aud": "orders"})
    header = {"alg": algorithm, "typ": "identity+jwt", "kid": "k"}
    assertion = jws.serialize_compact(header, claims, key, registry=registry)
    verifier = make_verifier(json.dumps({"keys": [public]}))
    assert (await verifier.verify(assertion, NOW)).subject == "7"
    assert "signature" in await refusal_reason(assertion[:-12] + "A" * 12, verifier=verifier)


async def test_expired() -> None:
    assertion = token()
    assert await make_verifier().verify(assertion, NOW + 60 + LEEWAY - 0.1)
    assert await refusal_reason(assertion, NOW + 60 + LEEWAY) == "it has expired"


async def test_from_the_future() -> None:
    assert await make_verifier().verify(token(iat=NOW + LEEWAY - 1), NOW)
    assert "future" in await refusal_reason(token(iat=NOW + LEEWAY + 1))


@pytest.mark.parametrize("audience", ["users", "", ["orders"], ["orders", "users"], None, 7, "Orders", "orders "])
async def test_replayed_to_another_service(audience: object) -> None:
    assert "another service" in await refusal_reason(token(aud=audience))


@pytest.mark.parametrize("issuer", ["other", "", None, ["limen"], 7])
async def test_of_another_issuer(issuer: object) -> None:
    assert "another issuer" in await refusal_reason(token(iss=issuer))


async def test_another_issuer_may_be_expected() -> None:
    verifier = AssertionVerifier(StaticKeys(SIGNER.keys), audience="orders", issuer="https://g.example")
    assert await verifier.verify(token(iss="https://g.example"), NOW)
    assert "another issuer" in await refusal_reason(token(), verifier=verifier)


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "roles"])
async def test_a_claim_that_is_missing(claim: str) -> None:
    assert "missing" in await refusal_reason(token(claim))


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
    # A correct library would not write NaN or Infinity; the verifier does not rely on that.
    assert await refusal_reason(SIGNER.token(CLAIMS | changes))


async def test_signed_with_another_key_of_the_same_name() -> None:
    other = Signer("orders")
    assertion = other.token(CLAIMS, kid=kid())
    assert await refusal_reason(assertion) == "its signature is wrong"


async def test_an_unknown_key() -> None:
    assert "kid" in await refusal_reason(Signer("orders").token(CLAIMS))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", [b"", b"x"])
async def test_unsigned(algorithm: str, signature: bytes) -> None:
    assert await refusal_reason(unsigned({"alg": algorithm, "typ": "identity+jwt", "kid": kid()}, signature))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_signed_with_the_public_key_as_a_secret(algorithm: str) -> None:
    public = parse_jwks(SIGNER.keys, strict=True)[kid()].key
    assert isinstance(public, ECKey)
    header = b64(json.dumps({"alg": algorithm, "typ": "identity+jwt", "kid": kid()}).encode())
    text = f"{header}.{b64(json.dumps(CLAIMS | {'iss': 'limen', 'aud': 'orders'}).encode())}"
    member = json.loads(SIGNER.keys)["keys"][0]
    for secret in (public.as_pem(private=False), SIGNER.keys.encode(), json.dumps(member).encode()):
        mac = hmac.new(secret, text.encode(), f"sha{algorithm[2:]}").digest()
        assert "algorithm" in await refusal_reason(f"{text}.{b64(mac)}")


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256", "ES384", "ES512", "PS256", "Ed25519", 7, None, ["ES256"]])
async def test_the_token_does_not_choose_the_algorithm(algorithm: object) -> None:
    assert await refusal_reason(unsigned({"alg": algorithm, "typ": "identity+jwt", "kid": kid()}))


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(63), b"\xff" * 64, bytes(640)])
async def test_signatures_of_the_wrong_form(signature: bytes) -> None:
    assert await refusal_reason(unsigned({"alg": "ES256", "typ": "identity+jwt", "kid": kid()}, signature))


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "", None, "IDENTITY+JWT ", 7])
async def test_another_kind_of_token_of_the_same_gateway(kind: object) -> None:
    assertion = (
        SIGNER.token(CLAIMS, typ=kind)
        if isinstance(kind, str)
        else unsigned({"alg": "ES256", "typ": kind, "kid": kid()})
    )
    assert "header" in await refusal_reason(assertion)


@pytest.mark.parametrize(
    "extra",
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
async def test_a_header_with_other_members(extra: dict[str, Any]) -> None:
    assert await refusal_reason(unsigned({"alg": "ES256", "typ": "identity+jwt", "kid": kid()} | extra))


@pytest.mark.parametrize(
    "key_id", ["../../etc/passwd", "' OR 1=1 --", "", 7, None, ["k"], {"k": 1}, "\x00", "x" * 9999]
)
async def test_kids_of_no_key(key_id: object) -> None:
    assert await refusal_reason(unsigned({"alg": "ES256", "typ": "identity+jwt", "kid": key_id}))


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
        "A" * (MAX_BYTES + 1),
    ],
)
async def test_texts_that_are_no_token(text: str) -> None:
    assert await refusal_reason(text)


async def test_truncated_altered_and_extended_tokens() -> None:
    assertion = token()
    head, body, signature = assertion.split(".")
    for bad in (
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{assertion}.",
        f"{assertion}.x",
        f"{assertion} ",
        f" {assertion}",
        f"{assertion}\x00",
        f"{head}.{b64(json.dumps(CLAIMS | {'sub': '1'}).encode())}.{signature}",
        f"Bearer {assertion}",
        f"{head}.{body}.{signature[:9]}!!!!{signature[9:]}",
        f"{head}.{body}.{signature}==",
        f"{head[:9]}****{head[9:]}.{body}.{signature}",
    ):
        assert await refusal_reason(bad), bad


@pytest.mark.parametrize(
    "payload", ["[]", '"x"', "7", "null", "{", "", '{"sub": "1", "sub": "2"}', "[" * 5000, "\ud800"]
)
async def test_payloads_that_are_no_claims(payload: str) -> None:
    key = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "typ": "identity+jwt", "kid": "k"}
    assertion = jws.serialize_compact(header, payload.encode("utf-8", "surrogatepass"), key, algorithms=["ES256"])
    assert await refusal_reason(
        assertion, verifier=make_verifier(json.dumps({**key.as_dict(private=False), "kid": "k"}))
    )


@given(st.data())
async def test_a_changed_byte_is_always_refused(data: st.DataObject) -> None:
    assertion = bytearray(token().encode())
    position = data.draw(st.integers(0, len(assertion) - 1))
    assertion[position] = data.draw(st.integers(0, 127).filter(lambda byte: byte != assertion[position]))
    try:
        identity = await make_verifier().verify(assertion.decode(), NOW)
    except InvalidAssertion:
        return
    # The last character of a signature has unused bits.
    assert position == len(assertion) - 1
    assert identity.subject == "7"
