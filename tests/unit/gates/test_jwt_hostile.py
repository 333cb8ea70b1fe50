"""Tokens that attack: each by its name, each a Fault and never an exception."""

import hmac
import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey

from attacked import CONFIGS, HONEST, HS, PAIRS, PEM, SET, joined, parts, verdict
from limen.declare.jwk import Jwk
from limen.declare.jwt import Jwt
from limen.declare.principal import Principal
from limen.errors import Kind
from limen.gates.jwt import issue
from tokens import NOW, SECRET, b64, claims, sign


@pytest.mark.parametrize("name", CONFIGS)
def test_the_honest_one_is_accepted(name: str) -> None:
    assert isinstance(verdict(HONEST[name], CONFIGS[name]), Principal)


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "none ", " none", "", "null", "n\u043ene", None, False, 0]
)
@pytest.mark.parametrize("name", CONFIGS)
def test_alg_none_in_all_spellings(alg: object, name: str) -> None:
    header, payload, signature = parts(HONEST[name])
    forged = b64(json.dumps({"alg": alg, "typ": "JWT"}).encode())
    for last in (b"", signature, b64(b"\0")):
        assert verdict(joined(forged, payload, last), CONFIGS[name]) is Kind.TOKEN_CORRUPTED
    assert (
        verdict(joined(b64(json.dumps({"typ": "JWT"}).encode()), payload, b""), CONFIGS[name]) is Kind.TOKEN_CORRUPTED
    )
    assert verdict(joined(forged, payload), CONFIGS[name]) is Kind.TOKEN_CORRUPTED
    assert header


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("kind", PEM)
def test_a_public_key_as_a_shared_secret(algorithm: str, kind: str) -> None:
    private, public = PAIRS[kind]
    (member,) = PEM[kind].public_jwks(NOW)["keys"]
    jwk = json.dumps(member).encode()
    secrets = (
        public,
        public.strip(),
        public.replace(b"\n", b"\r\n"),
        jwk,
        member.get("x", member.get("n", "")).encode(),
    )
    for secret in secrets:
        forged = sign({"alg": algorithm, "typ": "JWT"}, claims(), key=secret, digest=f"sha{algorithm[2:]}")
        for config in (PEM[kind], Jwt(public, [kind])):
            assert verdict(forged, config) is Kind.TOKEN_CORRUPTED
    with pytest.raises(ValueError, match="the key is a PEM document"):
        Jwt(public)
    assert private != public


def test_a_published_jwk_as_a_shared_secret() -> None:
    (member,) = SET.public_jwks(NOW)["keys"]
    for secret in (
        json.dumps(member).encode(),
        json.dumps({"keys": [member]}).encode(),
        urlsafe_b64decode(member["x"] + "="),
    ):
        for kid in ({"kid": "a"}, {}):
            assert verdict(sign({"alg": "HS256"} | kid, claims(), key=secret), SET) is Kind.TOKEN_CORRUPTED


KIDS: tuple[Any, ...] = (
    "../../../../dev/null",
    "/etc/passwd",
    "a.jwk.json",
    "' OR '1'='1",
    "a'; DROP TABLE keys; --",
    "a\0",
    "a\n",
    "| sleep 10",
    "",
    " ",
    "A",
    "a" * 300,
    "\u0430",  # Cyrillic
    None,
    7,
    True,
    [],
    ["a"],
    {},
    {"a": "a"},
)


@pytest.mark.parametrize("kid", KIDS, ids=repr)
def test_kid_injection(kid: object) -> None:
    _, payload, signature = parts(HONEST["set"])
    for secret in (b"", b"\0", SECRET):
        digest = b64(hmac.new(secret, b"x", "sha256").digest())
        for last in (signature, digest):
            assert verdict(joined({"alg": "ES256", "kid": kid}, payload, last), SET) is Kind.TOKEN_CORRUPTED
        assert verdict(sign({"alg": "HS256", "kid": kid}, claims(), key=secret), SET) is Kind.TOKEN_CORRUPTED


def self_signed(**header: object) -> bytes:
    """Return a token signed with a key of the attacker's, who says so in its header."""
    key = ECKey.generate_key("P-256")
    own = Jwk("a", "ES256", key, "")
    said = {"alg": "ES256", "typ": "JWT"} | header | ({"jwk": key.as_dict(private=False)} if header.get("jwk") else {})
    body = joined(said, claims())
    return body + b"." + b64(own.sign(body))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": True},
        {"jwk": True, "kid": "a"},
        {"jku": "https://evil.example/jwks.json", "kid": "a"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["AAAA"]},
        {"x5t": "AAAA"},
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"zip": "DEF"},
        {"enc": "A128GCM", "alg": "dir"},
        {"cty": "JWT"},
        {"typ": "limen-identity+jwt"},
        {"typ": "secevent+jwt"},
        {"typ": ""},
        {"typ": None},
        {"typ": ["JWT"]},
        {"nonce": "AAAA"},
    ],
    ids=repr,
)
def test_a_header_chooses_nothing(header: dict[str, object]) -> None:
    assert verdict(self_signed(**header), SET) is Kind.TOKEN_CORRUPTED
    # Signed by us it would be no better: another kind of token, or one that nobody here made.
    if "x5t" not in header:
        assert verdict(sign({"alg": "HS256"} | header | {"alg": "HS256"}, claims())) is Kind.TOKEN_CORRUPTED


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", "application/JWT"])
def test_types_of_tokens_that_are_for_signing_in(typ: str) -> None:
    assert isinstance(verdict(sign({"alg": "HS256", "typ": typ}, claims())), Principal)


@pytest.mark.parametrize("name", CONFIGS)
def test_signatures_that_are_none(name: str) -> None:
    header, payload, signature = parts(HONEST[name])
    raw = urlsafe_b64decode(signature + b"=" * (-len(signature) % 4))
    half = len(raw) // 2
    order = bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
    forged = {
        "empty": b"",
        "zero": bytes(len(raw)),  # CVE-2022-21449: r = s = 0 is good for any text, to whom it is
        "zero r": bytes(half) + raw[half:],
        "zero s": raw[:half] + bytes(half),
        "the order": order + order,
        "one": (bytes(31) + b"\x01") * 2,
        "one byte": b"\0",
        "too short": raw[:-1],
        "too long": raw + b"\0",
        "before": b"\0" + raw,
        "DER": b"\x30\x06\x02\x01\x01\x02\x01\x01",
        "twice": raw + raw,
        "all ones": b"\xff" * len(raw),
        "reversed": raw[::-1],
    }
    for what, each in forged.items():
        assert verdict(joined(header, payload, b64(each)), CONFIGS[name]) is Kind.TOKEN_CORRUPTED, what
    for stripped in (header + b"." + payload, header + b"." + payload + b".", payload + b"." + signature):
        assert verdict(stripped, CONFIGS[name]) is Kind.TOKEN_CORRUPTED


def test_the_signature_of_another_token() -> None:
    header, payload, signature = parts(HONEST["HS256"])
    other = parts(issue(HS, 8, "admin", NOW).encode())
    assert verdict(joined(header, other[1], signature)) is Kind.TOKEN_CORRUPTED
    assert verdict(joined(header, payload, other[2])) is Kind.TOKEN_CORRUPTED
    assert verdict(joined(payload, header, signature)) is Kind.TOKEN_CORRUPTED


def test_an_ed25519_key_of_small_order_signs_nothing() -> None:
    header, payload, _ = parts(HONEST["EdDSA"])
    for point in (bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"):
        assert verdict(joined(header, payload, b64(point + bytes(32))), PEM["EdDSA"]) is Kind.TOKEN_CORRUPTED
    assert OKPKey.generate_key("Ed25519").key_type == "OKP"


def test_a_token_from_elsewhere_is_for_somebody_else() -> None:
    config = Jwt(SECRET, issuer="https://shop.example", audience="shop")
    good = {"iss": "https://shop.example", "aud": "shop"}
    assert isinstance(verdict(sign({"alg": "HS256"}, claims(**good)), config), Principal)
    isses: tuple[object, ...] = (
        *("https://shop.example/", "HTTPS://shop.example", "https://shop.example.evil.example", "", None, 7, {}),
        ["https://shop.example"],
    )
    auds: tuple[object, ...] = ("Shop", "shop2", "sho", "", None, 7, {"shop": 1}, [], [["shop"]], ["shop", 7], "a shop")
    for changes in [{"iss": each} for each in isses] + [{"aud": each} for each in auds]:
        assert verdict(sign({"alg": "HS256"}, claims(**good | changes)), config) is Kind.TOKEN_CORRUPTED
