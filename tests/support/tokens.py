"""Tokens made by hand, honest and hostile, and the keys that sign them."""

import base64
import hmac
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey, OKPKey, RSAKey

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0

CHOOSING: tuple[dict[str, Any], ...] = (
    {"alg": "none"},
    {"alg": "None"},
    {"alg": "HS384"},
    {"alg": "RS256"},
    {"alg": ""},
    {"alg": None},
    {"alg": ["HS256"]},
    {"alg": {"HS256": 1}},
    {"alg": 256},
    {"crit": ["exp"]},
    {"crit": []},
    {"crit": ["b64"], "b64": False},
    {"crit": "exp"},
    {"b64": False},
    {"jwk": {"kty": "oct", "k": "AAAA"}},
    {"jku": "https://evil.example/keys"},
    {"x5u": "https://evil.example/cert"},
    {"x5c": ["AAAA"]},
    {"kid": 7},
    {"kid": ["x"]},
    {"typ": 7},
    {"zip": "DEF", "enc": "A128GCM"},
)
"""Headers by which a token tries to choose how it is verified."""


def b64(data: bytes) -> bytes:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign(header: object, payload: object, key: bytes = SECRET, digest: str = "sha256") -> bytes:
    """Return a token signed with HMAC; bytes are taken as they are, anything else as JSON."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signed = b".".join(b64(part) for part in parts)
    return signed + b"." + b64(hmac.new(key, signed, digest).digest())


def claims(**changes: Any) -> dict[str, Any]:
    """Return claims that are accepted at ``NOW``; a change to None leaves the claim out."""
    found = {"id": 7, "user_type": "admin", "exp": NOW + 60} | changes
    return {name: value for name, value in found.items() if value is not None}


def token(header: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """Return an HS256 token over ``claims(**changes)``."""
    return sign({"alg": "HS256", "typ": "JWT"} | (header or {}), claims(**changes))


def pair(algorithm: str) -> tuple[bytes, bytes]:
    """Return a fresh key for ``algorithm`` as PEM, private and public."""
    if algorithm == "EdDSA":
        key: OKPKey | ECKey | RSAKey = OKPKey.generate_key("Ed25519")
    elif algorithm.startswith("ES"):
        key = ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[algorithm])
    else:
        key = RSAKey.generate_key(2048)
    return key.as_pem(private=True), key.as_pem(private=False)


@cache
def kept_pair(algorithm: str, number: int = 0) -> tuple[bytes, bytes]:
    """Return a key as ``pair`` does, the same each time it is asked for by this number: an RSA key takes long to make."""
    assert number >= 0
    return pair(algorithm)


def compact(header: object, payload: object, signature: bytes) -> bytes:
    """Return a token with any signature; bytes are taken as they are, anything else as JSON."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    return b".".join((*map(b64, parts), b64(signature)))


def sign_with(key: RSAKey | ECKey | OKPKey, header: object, payload: object) -> bytes:
    """Return a token signed with a private key, whatever its header says: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA)."""
    signed = compact(header, payload, b"").rpartition(b".")[0]
    private = key.private_key
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return signed + b"." + b64(private.sign(signed))
    if isinstance(private, rsa.RSAPrivateKey):
        return signed + b"." + b64(private.sign(signed, padding.PKCS1v15(), hashes.SHA256()))
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(signed, ec.ECDSA(hashes.SHA256())))
    return signed + b"." + b64(r.to_bytes(32) + s.to_bytes(32))
