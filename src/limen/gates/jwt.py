"""Tokens made live: verified once, remembered until they end. Hostile input gives a Fault, never an exception."""

import copy
import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from limen.declare.jwt import Jwt
from limen.declare.principal import Principal
from limen.errors import Fault
from limen.http.bearer import CORRUPTED, EXPIRED

MOST_BYTES = 8192
# No blank at either end: a header's reader drops it, and " 1" would become "1".
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?")
_CURVES = {"ES256": ("P-256",), "ES384": ("P-384",), "EdDSA": ("Ed25519", "Ed448")}


class Verifier:
    """Verifies tokens as ``config`` says, with a bounded cache: the least recently used token is forgotten first."""

    __slots__ = ("_cache", "_config", "_key", "_registry")

    def __init__(self, config: Jwt) -> None:
        """Load the key; raises ValueError when it is none."""
        self._config = config
        self._registry = _registry(config.algorithms)
        self._key = _key(config)
        self._cache: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    def verify(self, token: bytes, now: float) -> Principal | Fault:
        """Return who the token speaks of; ``now`` is in seconds since the epoch."""
        known = self.recall(token, now)
        if known is not None:
            return known
        verified = self._verify(token, now)
        if isinstance(verified, Fault):
            return verified
        if self._config.cache:
            self._cache[token] = verified
            if len(self._cache) > self._config.cache:
                self._cache.popitem(last=False)
        return verified[1]

    def wants(self, issuer: str | None) -> bool:
        """Tell whether a token that claims to be of ``issuer`` is ours to judge."""
        return self._config.issuer is None or issuer == self._config.issuer

    def recall(self, token: bytes, now: float) -> Principal | Fault | None:
        """Return what is known of a token that was verified before; None for any other."""
        known = self._cache.get(token)
        if known is None:
            return None
        if now < known[0]:
            self._cache.move_to_end(token)
            return known[1]
        del self._cache[token]
        return EXPIRED

    def _verify(self, token: bytes, now: float) -> tuple[float, Principal] | Fault:
        if len(token) > MOST_BYTES:
            return CORRUPTED
        try:
            signed = jws.deserialize_compact(token, self._key, registry=self._registry)
            if not {"crit", "jwk", "jku", "x5u", "x5c"}.isdisjoint(signed.headers()):
                return CORRUPTED
            claims = json.loads(signed.payload, object_pairs_hook=_unique)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            # All that decoding can raise on hostile input; which of them is nobody's business outside.
            return CORRUPTED
        if not isinstance(claims, dict):
            return CORRUPTED
        return self._principal(cast("dict[str, object]", claims), now)

    def _principal(self, claims: dict[str, object], now: float) -> tuple[float, Principal] | Fault:
        config = self._config
        ends, starts = claims.get("exp"), claims.get("nbf", 0)
        if not _is_time(ends) or not _is_time(starts) or not _is_time(claims.get("iat", 0)):
            return CORRUPTED
        end = float(cast("float", ends)) + config.leeway
        if now >= end:
            return EXPIRED
        if now < float(cast("float", starts)) - config.leeway:
            return CORRUPTED
        if config.issuer is not None and claims.get("iss") != config.issuer:
            return CORRUPTED
        if config.audience is not None and config.audience not in _words(claims.get("aud"), split=False):
            return CORRUPTED
        who = claims.get(config.id_claim)
        name = str(who) if isinstance(who, int) and not isinstance(who, bool) else who
        roles = _words(claims.get(config.role_claim), split=False)
        if not isinstance(name, str) or not _PRINTABLE.fullmatch(name) or not roles:
            return CORRUPTED
        if not all(_PRINTABLE.fullmatch(text) for text in roles):
            return CORRUPTED
        return end, Principal(name, roles, _words(claims.get(config.scope_claim), split=True), claims)

    def __repr__(self) -> str:
        """Show how full the cache is; never a key or a token."""
        return f"<Verifier {','.join(self._config.algorithms)} {len(self._cache)}/{self._config.cache} cached>"


def issue(config: Jwt, subject: int | str, role: str, now: float) -> str:
    """Return a signed token for ``subject`` with ``role``, which ends ``config.lifetime`` after ``now``."""
    claims: dict[str, Any] = {
        config.id_claim: subject,
        config.role_claim: role,
        "iat": int(now),
        "exp": int(now + config.lifetime.total_seconds()),
    }
    if config.issuer is not None:
        claims["iss"] = config.issuer
    if config.audience is not None:
        claims["aud"] = config.audience
    algorithm = config.algorithms[0]
    return jwt.encode({"alg": algorithm, "typ": "JWT"}, claims, _key(config), registry=_registry((algorithm,)))


def _key(config: Jwt) -> Key:
    """Load the key; raises ValueError when it does not serve every algorithm."""
    kinds: dict[str, type[OctKey | RSAKey | ECKey | OKPKey]] = {"H": OctKey, "R": RSAKey, "P": RSAKey, "E": ECKey}
    keys: list[Key] = []
    for algorithm in config.algorithms:
        kind = OKPKey if algorithm == "EdDSA" else kinds[algorithm[0]]
        try:
            key = kind.import_key(config.key)
        except (JoseError, ValueError) as error:
            raise ValueError(f"Jwt: the key does not serve {algorithm}: {type(error).__name__}") from None
        if isinstance(key, ECKey | OKPKey) and key.curve_name not in _CURVES[algorithm]:
            raise ValueError(f"Jwt: the key does not serve {algorithm}: its curve is {key.curve_name}")
        keys.append(key)
    return keys[0]


def _registry(algorithms: Sequence[str]) -> JWSRegistry:
    """Return a registry of ``algorithms`` and no others.

    The library's own warns at every use of EdDSA, because RFC 9864 renames it; the keys are as good as ever.
    """
    registry = JWSRegistry(algorithms=algorithms)
    registry.algorithms = {name: copy.copy(registry.algorithms[name]) for name in algorithms}
    for algorithm in registry.algorithms.values():
        algorithm.security_warning = None
    return registry


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a claim is given twice")
    return found


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _words(value: object, *, split: bool) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset(value.split() if split else (value,))
    if isinstance(value, list):
        items = cast("list[object]", value)
        if all(isinstance(item, str) for item in items):
            return frozenset(cast("list[str]", items))
    return frozenset()
