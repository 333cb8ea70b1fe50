"""A signed token as bytes (RFC 7515 section 7.1): taken apart strictly, and put together. Nobody is believed here.

What an attacker sends gets here before any signature is looked at, so the size bounds everything, and nothing raises.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from limen.auth.jose.claims import read
from limen.auth.jose.jwk import Jwk

MOST_BYTES = 8192
MOST_HEADER = 1024
MOST_SIGNATURE = 1400
# All that the header of our own tokens may say.
_NAMES = frozenset(("alg", "typ", "kid", "x5t", "x5t#S256"))
# What chooses a key, asks for more than we do, or changes what is signed: refused and not ignored, because who sends it wants
# something.
_FORBIDDEN = frozenset(("b64", "crit", "enc", "epk", "jku", "jwk", "x5c", "x5u", "zip"))
# RFC 8725 section 3.11: other kinds of tokens, signed with the same key perhaps, are not for signing in.
_TYPES = frozenset(("jwt", "application/jwt", "at+jwt", "application/at+jwt"))


@dataclass(slots=True)
class Signed:
    """A token taken apart; nothing of it is verified."""

    algorithm: str
    kid: str | None
    signed: bytes
    payload: bytes
    signature: bytes


def dissect(token: bytes, types: frozenset[str] = _TYPES, *, others: bool = False) -> Signed | None:
    """Return the parts of ``token``; None for all that is not exactly a token.

    ``types`` are accepted, if the token names one. With ``others``, as for tokens that others make, names in the header that
    mean nothing to us are ignored (RFC 7515 section 4), those that would mean something dangerous are not.
    """
    if len(token) > MOST_BYTES:
        return None
    parts = token.split(b".", 3)  # a fourth part is one too many; millions are not worth more
    if len(parts) != 3 or len(parts[0]) > MOST_HEADER or not 0 < len(parts[2]) <= MOST_SIGNATURE:
        return None
    raw, payload, signature = map(_decoded, parts)
    if raw is None or payload is None or signature is None:
        return None
    header = read(raw)
    if header is None or not _FORBIDDEN.isdisjoint(header) or not (others or _NAMES.issuperset(header)):
        return None
    if not all(isinstance(value, str) for name, value in header.items() if name in _NAMES):
        return None
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or (isinstance(kind, str) and kind.lower() not in types):
        return None
    return Signed(algorithm, kid if isinstance(kid, str) else None, token[: -len(parts[2]) - 1], payload, signature)


def signed(key: Jwk, claims: Mapping[str, object], kind: str = "JWT") -> str:
    """Return a token of ``claims``, of type ``kind``, signed with ``key``; raises ValueError for a public key."""
    header = {"alg": key.algorithm, "typ": kind} | ({"kid": key.kid} if key.kid else {})
    body = b".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return (body + b"." + _encoded(key.sign(body))).decode("ascii")


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: bytes) -> bytes | None:
    """Return what ``text`` is in base64url without padding; None unless it is the only way to write that."""
    try:
        data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    # Decoding skips what is no base64, and ignores the last bits: one token, one spelling, or the cache can be flooded.
    return data if _encoded(data) == text else None
