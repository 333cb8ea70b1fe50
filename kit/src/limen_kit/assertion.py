"""The gateway's signed word for a caller, verified: who is believed, and why not. Knows nothing of HTTP.

This module loads a cryptographic library, so nothing imports it where no keys are given.
"""

import copy
import json
import re
from collections import OrderedDict
from typing import Any, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from limen_kit.identity import Identity
from limen_kit.keys import Keys, PublicKey

TYPE = "identity+jwt"
MOST_BYTES = 16384

# Seconds by which the clocks of gateway and service may differ.
LEEWAY = 5.0

# Decoding skips what is no base64, so one token would have any number of spellings.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER = frozenset(("alg", "kid", "typ"))
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,511}[\x21-\x7e])?")


class Refused(Exception):
    """An assertion that is not believed; the message is for the log, and repeats nothing of it."""


class Unavailable(Exception):
    """Nobody can tell whether an assertion is good: the keys cannot be had."""


class Verifier:
    """Verifies assertions of ``issuer`` for ``audience``, which is this service, with ``keys``.

    ``cache`` bounds how many verified ones are remembered until they end; the least recently used is forgotten first.
    """

    def __init__(self, keys: Keys, *, audience: str, issuer: str = "limen", cache: int = 4096) -> None:
        """Verify nothing yet."""
        self._keys = keys
        self._audience = audience
        self._issuer = issuer
        self._most = cache
        self._cache: OrderedDict[str, tuple[float, Identity]] = OrderedDict()
        self._version = keys.version

    async def verify(self, token: str, now: float) -> Identity:
        """Return who ``token`` vouches for; ``now`` is in seconds since the epoch. Raises Refused or Unavailable."""
        known = self._recall(token, now)
        if known is not None:
            return known
        signature = _extracted(token)
        key = await self._key(signature)
        ends, identity = self._judged(_verified(signature, key), now)
        self._cache[token] = ends, identity
        if len(self._cache) > self._most:
            self._cache.popitem(last=False)
        return identity

    async def aclose(self) -> None:
        """Give up what is under way."""
        await self._keys.aclose()

    def _recall(self, token: str, now: float) -> Identity | None:
        if self._version != self._keys.version:
            # What a key has signed that is no longer there is not believed any more.
            self._cache.clear()
            self._version = self._keys.version
        known = self._cache.get(token)
        if known is None:
            return None
        if now >= known[0]:
            del self._cache[token]
            raise Refused("it has expired")
        self._cache.move_to_end(token)
        return known[1]

    async def _key(self, signature: jws.CompactSignature) -> PublicKey:
        kid = cast("str", signature.headers()["kid"])
        key = self._keys.find(kid)
        if key is None:
            await self._keys.renew()
            key = self._keys.find(kid)
        if key is None:
            if self._keys.failed:
                raise Unavailable
            raise Refused("no key of the gateway has its kid")
        return key

    def _judged(self, claims: dict[str, object], now: float) -> tuple[float, Identity]:
        """Return when it ends, and who it speaks of (RFC 7519 section 4.1)."""
        ends, made = claims.get("exp"), claims.get("iat")
        if not _is_time(ends) or not _is_time(made):
            raise Refused("exp or iat is missing, or no time")
        end = float(cast("float", ends)) + LEEWAY
        if now >= end:
            raise Refused("it has expired")
        if float(cast("float", made)) > now + LEEWAY:
            raise Refused("it comes from the future; are the clocks right?")
        if claims.get("iss") != self._issuer:
            raise Refused("it is another issuer's; IDENTITY_ISSUER says whose is believed")
        if claims.get("aud") != self._audience:
            raise Refused("it is for another service; IDENTITY_AUDIENCE is the upstream's name at the gateway")
        subject, roles, scope = claims.get("sub"), claims.get("roles"), claims.get("scope", "")
        session = claims.get("sid")
        if not _is_printable(subject) or not isinstance(scope, str) or not isinstance(roles, list):
            raise Refused("sub, roles or scope is missing, or not of its type")
        named = cast("list[object]", roles)
        if not all(map(_is_printable, named)) or not (session is None or _is_printable(session)):
            raise Refused("roles or sid is not of its type")
        return end, Identity(
            cast("str", subject),
            frozenset(cast("list[str]", named)),
            frozenset(scope.split()),
            cast("str | None", session),
        )


def _extracted(token: str) -> jws.CompactSignature:
    if len(token) > MOST_BYTES:
        raise Refused("it is too large")
    if not _COMPACT.fullmatch(token):
        raise Refused("it is no token")
    try:
        signature = jws.extract_compact(token.encode("ascii"), None, _REGISTRY)
        header = cast("object", signature.headers())
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # All that taking apart hostile input can raise.
        raise Refused("it is no token") from None
    # Exactly what our gateway writes: a header that would choose a key (jwk, jku, x5u, x5c) or ask for more (crit) has no
    # business here. RFC 8725 section 3.11: the type keeps the gateway's other tokens out, whatever signed them.
    if not isinstance(header, dict) or cast("dict[object, object]", header).keys() != _HEADER:
        raise Refused("its header is not that of an assertion")
    given = cast("dict[str, object]", header)
    if given["typ"] != TYPE or not isinstance(given["kid"], str):
        raise Refused("its header is not that of an assertion")
    return signature


def _verified(signature: jws.CompactSignature, key: PublicKey) -> dict[str, object]:
    # The algorithm is the key's; what the token says of it must be the same, and is never asked.
    if signature.headers()["alg"] != key.algorithm:
        raise Refused("its algorithm is not that of the key")
    try:
        good = jws.validate_compact(signature, key.key, registry=_REGISTRY)
        claims: object = json.loads(signature.payload, object_pairs_hook=_unique) if good else None
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise Refused("its signature cannot be verified, or its claims cannot be read") from None
    if not good:
        raise Refused("its signature is wrong")
    if not isinstance(claims, dict):
        raise Refused("it has no claims")
    return cast("dict[str, object]", claims)


def _registry() -> JWSRegistry:
    """Return a registry of our algorithms and no others; the library's own warns at each use of EdDSA (RFC 9864)."""
    names = ("ES256", "EdDSA", "RS256")
    registry = JWSRegistry(algorithms=names)
    registry.max_header_length = 1024
    registry.algorithms = {name: copy.copy(registry.algorithms[name]) for name in names}
    for algorithm in registry.algorithms.values():
        algorithm.security_warning = None
    return registry


_REGISTRY = _registry()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a claim is given twice")
    return found


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _is_printable(value: object) -> bool:
    return isinstance(value, str) and _PRINTABLE.fullmatch(value) is not None
