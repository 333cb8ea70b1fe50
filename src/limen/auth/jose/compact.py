"""Tokens in the JWS compact serialization (RFC 7515 section 7.1): parsed strictly, and signed. Nothing is verified here.

What an attacker sends gets here before any signature is checked, so sizes are bounded, and nothing raises.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from limen.auth.jose.json_object import read_json_object
from limen.auth.jose.jwk import Jwk

MOST_BYTES = 8192
"""Bytes of a token of the gateway's own; ``Issuer(token_size=)`` says how many one from outside may have."""
MOST_HEADER = 1024
MOST_OUTSIDE_HEADER = 8192
"""The same of a token from outside, encoded: some carry a chain of certificates there, which nobody reads."""
MOST_SIGNATURE = 1400
# The only names in the header of the gateway's own tokens.
_HEADER_NAMES = frozenset(("alg", "typ", "kid", "x5t", "x5t#S256"))
# These names demand more than limen does, or change what is signed: to ignore them would be to read another token than the
# one that was signed. Names that only offer a key (jku, jwk, x5c, x5u) are ignored: keys come from the configuration alone.
_CHANGING_NAMES = frozenset(("b64", "crit", "enc", "epk", "zip"))
# RFC 8725 section 3.11: another type of token, perhaps signed with the same key, is no access token.
_TYPES = frozenset(("jwt", "application/jwt", "at+jwt", "application/at+jwt"))


@dataclass(slots=True)
class CompactJws:
    """A parsed token; nothing of it is verified."""

    algorithm: str
    kid: str | None
    signing_input: bytes
    payload: bytes
    signature: bytes


def parse_jws(token: bytes, types: frozenset[str] = _TYPES) -> CompactJws | str:
    """Return the parts of a token of the gateway's own, or why ``token`` is not exactly one.

    If it names its type, it must be one of ``types``. A name in the header that the gateway never writes is refused.
    """
    if len(token) > MOST_BYTES:
        return "it is longer than a token of this gateway"
    split = _split(token, MOST_HEADER)
    if isinstance(split, str):
        return split
    header, parts = split
    if not _HEADER_NAMES.issuperset(header):
        return "its header has names that this gateway never writes"
    kind = header.get("typ")
    if kind is not None and str(kind).lower() not in types:
        return "its header says that it is another type of token (typ)"
    return parts


def parse_outside_jws(token: bytes, most: int) -> CompactJws | str:
    """Return the parts of a token of at most ``most`` bytes from an outside issuer, or why it is not exactly one.

    Unknown names in the header are ignored (RFC 7515 section 4), also those that offer a key: it is neither fetched nor
    believed. ``typ`` is a hint of the sender's, unless it says that the token is another kind, as ``logout+jwt`` does.
    """
    if len(token) > most:
        return "it is longer than token_size= of its issuer"
    split = _split(token, MOST_OUTSIDE_HEADER)
    if isinstance(split, str):
        return split
    header, parts = split
    kind = str(header.get("typ", "")).lower()
    if "+" in kind and kind not in _TYPES:
        return "its header says that it is another type of token (typ)"
    return parts


def _split(token: bytes, most_header: int) -> tuple[dict[str, object], CompactJws] | str:
    """Return the header and the parts of ``token``, or why it is none."""
    parts = token.split(b".", 3)  # one part more shows that there are too many; millions need not be split
    if len(parts) != 3:
        return "it has not the three parts of a signed JWT (RFC 7515)"
    if len(parts[0]) > most_header or not 0 < len(parts[2]) <= MOST_SIGNATURE:
        return "its header is too long, or its signature is missing or too long"
    header_bytes, payload, signature = map(_from_base64url, parts)
    if header_bytes is None or payload is None or signature is None:
        return "a part of it is not base64url without padding"
    header = read_json_object(header_bytes)
    if header is None:
        return "its header is no JSON object, or names something twice"
    if not _CHANGING_NAMES.isdisjoint(header):
        return "its header demands what this gateway does not do (crit, b64, enc, epk or zip)"
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        return "its header names no algorithm (alg)"
    if not all(isinstance(value, str) for name, value in header.items() if name in _HEADER_NAMES):
        return "a name in its header has a value that is no text"
    signing_input = token[: -len(parts[2]) - 1]
    return header, CompactJws(algorithm, kid if isinstance(kid, str) else None, signing_input, payload, signature)


def decode_unverified(token: bytes) -> tuple[dict[str, object], dict[str, object]] | None:
    """Return header and claims of a token, for people to read; None if it has none. Nothing may be believed because of it."""
    parts = token.split(b".", 3)
    if len(parts) != 3:
        return None
    header, claims = (_object(part) for part in parts[:2])
    return None if header is None or claims is None else (header, claims)


def sign_jws(key: Jwk, claims: Mapping[str, object], typ: str = "JWT") -> str:
    """Return a token of ``claims``, of type ``typ``, signed with ``key``; raises ValueError for a public key."""
    header = {"alg": key.algorithm, "typ": typ} | ({"kid": key.kid} if key.kid else {})
    body = b".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return (body + b"." + _base64url(key.sign(body))).decode("ascii")


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _object(text: bytes) -> dict[str, object] | None:
    data = _from_base64url(text)
    return None if data is None else read_json_object(data)


def _from_base64url(text: bytes) -> bytes | None:
    """Return the bytes of ``text`` in base64url without padding; None unless this is the only way to encode them."""
    try:
        data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    # Decoding skips other characters, and ignores the last bits. A token must have one spelling, or spellings could flood
    # the cache.
    return data if _base64url(data) == text else None
