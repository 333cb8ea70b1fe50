"""Verifies the gateway's signed assertion of who is calling. Knows nothing of HTTP.

This module loads a cryptographic library, so it is imported only where keys are configured.
"""

import copy
import json
import re
from collections import OrderedDict
from typing import Any, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from limen_kit.keys import KeySource, PublicKey
from limen_kit.principal import Identity

ASSERTION_TYPE = "identity+jwt"
MAX_BYTES = 16384

# Seconds by which the clocks of gateway and service may differ.
LEEWAY = 5.0

# Decoders skip characters that are not base64, so without this check one token would have many spellings.
_COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER_MEMBERS = frozenset(("alg", "kid", "typ"))
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,511}[\x21-\x7e])?")


class InvalidAssertion(Exception):
    """The assertion is refused; the message is for the log, and repeats no part of the assertion."""


class KeysUnavailable(Exception):
    """The keys cannot be fetched, so no assertion can be checked."""


class AssertionVerifier:
    """Verifies assertions of ``issuer`` for ``audience``, which is this service, with ``keys``.

    Keeps up to ``cache_size`` verified assertions until they expire, and drops the least recently used first.
    """

    def __init__(self, keys: KeySource, *, audience: str, issuer: str = "limen", cache_size: int = 4096) -> None:
        """Verify nothing yet."""
        self._keys = keys
        self._audience = audience
        self._issuer = issuer
        self._cache_size = cache_size
        self._cache: OrderedDict[str, tuple[float, Identity]] = OrderedDict()
        self._version = keys.version

    async def verify(self, token: str, now: float) -> Identity:
        """Return the identity that ``token`` asserts; ``now`` is in seconds since the epoch.

        Raises InvalidAssertion or KeysUnavailable.
        """
        cached = self._cached(token, now)
        if cached is not None:
            return cached
        signature = _parse(token)
        key = await self._find_key(signature)
        expires_at, identity = self._checked_claims(_verified_claims(signature, key), now)
        self._cache[token] = expires_at, identity
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return identity

    async def aclose(self) -> None:
        """Cancel the fetch of keys that is under way."""
        await self._keys.aclose()

    def _cached(self, token: str, now: float) -> Identity | None:
        if self._version != self._keys.version:
            # Assertions that a removed key has signed are no longer valid.
            self._cache.clear()
            self._version = self._keys.version
        cached = self._cache.get(token)
        if cached is None:
            return None
        if now >= cached[0]:
            del self._cache[token]
            raise InvalidAssertion("it has expired")
        self._cache.move_to_end(token)
        return cached[1]

    async def _find_key(self, signature: jws.CompactSignature) -> PublicKey:
        kid = cast("str", signature.headers()["kid"])
        key = self._keys.find(kid)
        if key is None:
            await self._keys.renew()
            key = self._keys.find(kid)
        if key is None:
            if self._keys.failed:
                raise KeysUnavailable
            raise InvalidAssertion("no key of the gateway has its kid")
        return key

    def _checked_claims(self, claims: dict[str, object], now: float) -> tuple[float, Identity]:
        """Return when the assertion expires, and the identity in it (RFC 7519 section 4.1)."""
        exp, iat = claims.get("exp"), claims.get("iat")
        if not _is_time(exp) or not _is_time(iat):
            raise InvalidAssertion("exp or iat is missing, or no time")
        expires_at = float(cast("float", exp)) + LEEWAY
        if now >= expires_at:
            raise InvalidAssertion("it has expired")
        if float(cast("float", iat)) > now + LEEWAY:
            raise InvalidAssertion("it comes from the future; are the clocks right?")
        if claims.get("iss") != self._issuer:
            raise InvalidAssertion("it is another issuer's; IDENTITY_ISSUER says whose is believed")
        if claims.get("aud") != self._audience:
            raise InvalidAssertion("it is for another service; IDENTITY_AUDIENCE is the upstream's name at the gateway")
        subject, roles, scope = claims.get("sub"), claims.get("roles"), claims.get("scope", "")
        session = claims.get("sid")
        if not _is_printable(subject) or not isinstance(scope, str) or not isinstance(roles, list):
            raise InvalidAssertion("sub, roles or scope is missing, or not of its type")
        role_names = cast("list[object]", roles)
        if not all(map(_is_printable, role_names)) or not (session is None or _is_printable(session)):
            raise InvalidAssertion("roles or sid is not of its type")
        return expires_at, Identity(
            cast("str", subject),
            frozenset(cast("list[str]", role_names)),
            frozenset(scope.split()),
            cast("str | None", session),
        )


def _parse(token: str) -> jws.CompactSignature:
    if len(token) > MAX_BYTES:
        raise InvalidAssertion("it is too large")
    if not _COMPACT_FORM.fullmatch(token):
        raise InvalidAssertion("it is no token")
    try:
        signature = jws.extract_compact(token.encode("ascii"), None, _REGISTRY)
        header = cast("object", signature.headers())
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # All that parsing hostile input can raise.
        raise InvalidAssertion("it is no token") from None
    # Only the members that the gateway writes: one that would choose a key (jwk, jku, x5u, x5c) or demand an extension (crit)
    # is refused. RFC 8725 section 3.11: the type keeps the gateway's other tokens out, whatever signed them.
    if not isinstance(header, dict) or cast("dict[object, object]", header).keys() != _HEADER_MEMBERS:
        raise InvalidAssertion("its header is not that of an assertion")
    members = cast("dict[str, object]", header)
    if members["typ"] != ASSERTION_TYPE or not isinstance(members["kid"], str):
        raise InvalidAssertion("its header is not that of an assertion")
    return signature


def _verified_claims(signature: jws.CompactSignature, key: PublicKey) -> dict[str, object]:
    # The key determines the algorithm; the token's ``alg`` must be equal to it, and is never used.
    if signature.headers()["alg"] != key.algorithm:
        raise InvalidAssertion("its algorithm is not that of the key")
    try:
        valid = jws.validate_compact(signature, key.key, registry=_REGISTRY)
        claims: object = json.loads(signature.payload, object_pairs_hook=_without_duplicates) if valid else None
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise InvalidAssertion("its signature cannot be verified, or its claims cannot be read") from None
    if not valid:
        raise InvalidAssertion("its signature is wrong")
    if not isinstance(claims, dict):
        raise InvalidAssertion("it has no claims")
    return cast("dict[str, object]", claims)


def _registry() -> JWSRegistry:
    """Return a registry of these algorithms alone; the library's own warns at each use of EdDSA (RFC 9864)."""
    names = ("ES256", "EdDSA", "RS256")
    registry = JWSRegistry(algorithms=names)
    registry.max_header_length = 1024
    registry.algorithms = {name: copy.copy(registry.algorithms[name]) for name in names}
    for algorithm in registry.algorithms.values():
        algorithm.security_warning = None
    return registry


_REGISTRY = _registry()


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    claims = dict(pairs)
    if len(claims) != len(pairs):
        raise ValueError("a claim is given twice")
    return claims


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _is_printable(value: object) -> bool:
    return isinstance(value, str) and _PRINTABLE.fullmatch(value) is not None
