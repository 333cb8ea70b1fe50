"""Verifies the tokens of an outside issuer with the keys that it publishes.

A token whose key is known is verified at once, without a task or an await. Only an unknown key makes a request wait for a
fetch. The number of those that wait is bounded; beyond it, and if the provider gives no keys, the answer is 503 and never
"yes".

A provider that is down affects no caller whose token is cached, or whose key is known.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from time import time

from limen.auth.bearer import EXPIRED, REVOKED, corrupted
from limen.auth.identify import IdentifyResult
from limen.auth.issuer.declared import Issuer, usable_role
from limen.auth.issuer.key_set import KeySet
from limen.auth.issuer.provider import KeySource, Provider
from limen.auth.issuer.published_keys import PublishedKeys
from limen.auth.jose.claims import NO_CLAIMS
from limen.auth.jose.compact import CompactJws, parse_outside_jws
from limen.auth.jose.json_object import read_json_object
from limen.auth.revocation import RevocationStore, SessionTest
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal

MOST_WAITING = 1024
_OTHER_SIGNATURE = "its signature is not of the key that it names"


class IssuerVerifier:
    """Verifies the tokens of the issuer that ``config`` describes.

    ``now`` is given with every token, in seconds since the epoch; ``clock`` gives the same when a fetch ends.
    """

    def __init__(
        self,
        config: Issuer,
        revocations: RevocationStore | None = None,
        *,
        source: KeySource | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        """Fetch nothing yet, but read the files that TLS needs; raises ValueError for one that cannot be used.

        ``revocations`` knows which tokens ended early; None is none.
        """
        self.token_size = config.token_size
        self._config = config
        self._keys = PublishedKeys(config, source or Provider(config), clock, self._drop_without_key)
        self._cache: OrderedDict[bytes, tuple[float, Principal, str]] = OrderedDict()
        self._waiting = 0
        self._revocations = revocations
        if revocations is not None:
            revocations.listen(self.forget)

    def recall(self, token: bytes, now: float) -> IdentifyResult | None:
        """Return the cached result for a token that was verified before; None for any other."""
        # Here too: if every token is cached, a key that the issuer withdrew would be believed for too long.
        self._keys.refresh_if_due(now)
        known = self._cache.get(token)
        if known is None:
            return None
        if now < known[0]:
            self._cache.move_to_end(token)
            return known[1]
        del self._cache[token]
        return EXPIRED

    def wants(self, issuer: str | None) -> bool:
        """Tell whether to verify a token that claims to be of ``issuer``. Nothing is verified yet."""
        return self._config.issues(issuer)

    def verify(self, token: bytes, now: float) -> IdentifyResult | Awaitable[IdentifyResult]:
        """Return whose token it is: at once if its key is known, later if the keys have to be fetched."""
        known = self.recall(token, now)
        if known is not None:
            return known
        parts = parse_outside_jws(token, self._config.token_size)
        if isinstance(parts, str):
            return corrupted(parts)
        if parts.algorithm not in self._config.algorithms:
            return corrupted("its algorithm is not one of algorithms= of its issuer")
        claims = read_json_object(parts.payload)
        if claims is None:
            return corrupted(NO_CLAIMS)
        if not self._keys.overdue(now):
            result = self._verify_with_known_key(token, parts, claims, now)
            if result is not None:
                return result
        # Nothing is verified yet, but a token that its own claims refuse is not worth a fetch.
        checked = self._config.claims.principal(claims, now)
        if isinstance(checked, Fault):
            return checked
        if not self._keys.may_fetch(now):
            return self._unknown_key(now)
        return self._verify_after_fetch(token, parts, claims, now)

    def forget(self, test: Callable[[Principal], bool]) -> None:
        """Drop the cached tokens of callers for whom ``test`` is true; they are verified again."""
        if isinstance(test, SessionTest):
            return  # sessions are the gateway's own, and these tokens have none
        for token in [token for token, known in self._cache.items() if test(known[1])]:
            del self._cache[token]

    async def drained(self) -> None:
        """Return once no fetch runs that somebody may wait for."""
        await self._keys.drained()

    async def aclose(self) -> None:
        """Cancel the fetch, if there is one, and close every connection; requests that wait for it get 503."""
        await self._keys.aclose()

    def _verify_with_known_key(
        self, token: bytes, parts: CompactJws, claims: dict[str, object], now: float
    ) -> IdentifyResult | None:
        """Verify with a known key. None if there is none, or if the token may be of a newer one that has no ``kid``."""
        keys = self._keys.usable(now)
        candidates = () if keys is None else keys.find(parts.kid, parts.algorithm)
        if keys is None or not candidates:
            return None
        key = next((one for one in candidates if one.verifies(parts.signing_input, parts.signature)), None)
        if key is None:
            return corrupted(_OTHER_SIGNATURE) if candidates[0].kid and parts.kid is not None else None
        if self._config.claims.tenants is not None and not keys.serves(key, claims.get("iss")):
            return corrupted("its key is that of another tenant")
        checked = self._config.claims.principal(claims, now)
        if isinstance(checked, Fault):
            return checked
        end, principal = checked[0], _as_declared(checked[1])
        if self._revocations is not None and self._revocations.ended(principal, now):
            return REVOKED
        if self._config.cache:
            self._cache[token] = (end, principal, key.text)
            if len(self._cache) > self._config.cache:
                self._cache.popitem(last=False)
        return principal

    async def _verify_after_fetch(
        self, token: bytes, parts: CompactJws, claims: dict[str, object], now: float
    ) -> IdentifyResult:
        if self._waiting >= MOST_WAITING:
            return self._unavailable(1, "too many wait for its keys")
        self._waiting += 1
        try:
            # asyncio.wait, because a client that leaves must not cancel the fetch for the others.
            await asyncio.wait((self._keys.fetch(),))
        finally:
            self._waiting -= 1
        return self._verify_with_known_key(token, parts, claims, now) or self._unknown_key(now)

    def _unknown_key(self, now: float) -> Fault:
        """Return the fault of a token whose key is not known: there is no such key, or it could not be fetched."""
        if self._keys.known and not self._keys.problem:
            return corrupted("no key that its issuer publishes has its kid and its algorithm, and has signed it")
        return self._unavailable(self._keys.retry_after(now), self._keys.problem or "it is closed")

    def _unavailable(self, seconds: float, cause: str) -> Fault:
        """Return 503; ``seconds`` until it is worth trying again."""
        return Fault(
            Kind.IDENTITY_UNAVAILABLE,
            cause=f"issuer {self._config.name}: {cause}",
            headers=((b"retry-after", b"%d" % max(1, math.ceil(seconds))),),
        )

    def _drop_without_key(self, keys: KeySet) -> None:
        """Drop the cached tokens that were signed with a key that is not among the new ``keys``."""
        for token in [token for token, known in self._cache.items() if known[2] not in keys.thumbprints]:
            del self._cache[token]

    def __repr__(self) -> str:
        """Show the keys, and how full the cache is; never a token."""
        return f"<Issuer {self._config.name} {self._keys.state} {len(self._cache)}/{self._config.cache} cached>"


def _as_declared(principal: Principal) -> Principal:
    """Return the caller with the roles that services can be told, and without the issuer's session.

    ``sid`` names a session of the issuer: the gateway's own have ids of the same form, and whoever knows one could end it.
    """
    roles = frozenset(name for name in principal.roles if usable_role(name))
    claims: Mapping[str, object] = {name: value for name, value in principal.claims.items() if name != "sid"}
    return replace(principal, roles=roles, claims=claims, memo={})
