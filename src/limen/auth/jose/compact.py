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
MOST_HEADER = 1024
MOST_SIGNATURE = 1400
# The only names in the header of the gateway's own tokens.
_HEADER_NAMES = frozenset(("alg", "typ", "kid", "x5t", "x5t#S256"))
# These names choose a key, demand more than limen does, or change what is signed. They are refused, not ignored: the sender
# wants something.
_DANGEROUS_NAMES = frozenset(("b64", "crit", "enc", "epk", "jku", "jwk", "x5c", "x5u", "zip"))
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


def parse_jws(token: bytes, types: frozenset[str] = _TYPES, *, ignore_unknown: bool = False) -> CompactJws | None:
    """Return the parts of ``token``; None for anything that is not exactly a token.

    If the token names its type, it must be one of ``types``. With ``ignore_unknown``, unknown names in the header are
    ignored (RFC 7515 section 4): outside issuers add their own. Dangerous names are still refused.
    """
    if len(token) > MOST_BYTES:
        return None
    parts = token.split(b".", 3)  # one part more shows that there are too many; millions need not be split
    if len(parts) != 3 or len(parts[0]) > MOST_HEADER or not 0 < len(parts[2]) <= MOST_SIGNATURE:
        return None
    header_bytes, payload, signature = map(_from_base64url, parts)
    if header_bytes is None or payload is None or signature is None:
        return None
    header = read_json_object(header_bytes)
    if (
        header is None
        or not _DANGEROUS_NAMES.isdisjoint(header)
        or not (ignore_unknown or _HEADER_NAMES.issuperset(header))
    ):
        return None
    if not all(isinstance(value, str) for name, value in header.items() if name in _HEADER_NAMES):
        return None
    algorithm, kid, token_type = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or (isinstance(token_type, str) and token_type.lower() not in types):
        return None
    return CompactJws(algorithm, kid if isinstance(kid, str) else None, token[: -len(parts[2]) - 1], payload, signature)


def sign_jws(key: Jwk, claims: Mapping[str, object], typ: str = "JWT") -> str:
    """Return a token of ``claims``, of type ``typ``, signed with ``key``; raises ValueError for a public key."""
    header = {"alg": key.algorithm, "typ": typ} | ({"kid": key.kid} if key.kid else {})
    body = b".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return (body + b"." + _base64url(key.sign(body))).decode("ascii")


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _from_base64url(text: bytes) -> bytes | None:
    """Return the bytes of ``text`` in base64url without padding; None unless this is the only way to encode them."""
    try:
        data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    # Decoding skips other characters, and ignores the last bits. A token must have one spelling, or spellings could flood
    # the cache.
    return data if _base64url(data) == text else None
