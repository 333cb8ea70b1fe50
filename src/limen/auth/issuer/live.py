"""An outside issuer made live: its tokens verified with keys that it publishes, fetched without anybody waiting if possible.

What is known is answered at once, without a task or an await. Only a key that nobody has seen yet makes a request wait:

1. one fetch serves all who wait, and goes on when one of them leaves
2. ``floor`` seconds pass between fetches, so that made-up keys cannot make us hammer the provider
3. who waits is bounded, too; beyond that, and where the provider gives no keys, the answer is 503 and never "yes"

A provider that is down stops nobody whose token is remembered, or whose key is known.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from time import time

from limen.auth.bearer import CORRUPTED, EXPIRED, REVOKED
from limen.auth.issuer.declared import Issuer, usable_role
from limen.auth.issuer.key_set import KeySet, read_key_set
from limen.auth.issuer.provider import Provider, Source
from limen.auth.jose.claims import read
from limen.auth.jose.compact import Signed, dissect
from limen.auth.revocation import OfSession, RevocationStore
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.observe.traces import logger
from limen.upstream.fetch import NotFetchedError

_log = logger("limen.identity")

MOST_WAITING = 1024

Identified = Principal | Fault


class LiveIssuer:
    """Verifies the tokens of the issuer that ``config`` describes.

    ``now`` is given with every question, in seconds since the epoch; ``clock`` gives the same where a fetch ends later.
    """

    def __init__(
        self,
        config: Issuer,
        revocations: RevocationStore | None = None,
        *,
        source: Source | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        """Fetch nothing yet, but read the files that TLS needs; raises ValueError for one that cannot be used.

        ``revocations`` knows what ended early, None is nothing.
        """
        self._config = config
        self._source = source or Provider(config)
        self._clock = clock
        self._cache: OrderedDict[bytes, tuple[float, Principal, str]] = OrderedDict()
        self._keys: KeySet | None = None
        self._content = b""
        self._fetched = -math.inf  # when the keys came
        self._asked = -math.inf  # when the last fetch ended
        self._due = math.inf  # when they are to be fetched again
        self._trouble = ""
        self._flight: asyncio.Task[None] | None = None
        self._waiting = 0
        self._closed = False
        self._revocations = revocations
        if revocations is not None:
            revocations.listen(self.forget)

    def recall(self, token: bytes, now: float) -> Identified | None:
        """Return what is known of a token that was verified before; None for any other."""
        if now >= self._due and not self._closed:
            # Here too: where every token is remembered, a key that the issuer withdrew would be believed for too long.
            self._ask()
        known = self._cache.get(token)
        if known is None:
            return None
        if now < known[0]:
            self._cache.move_to_end(token)
            return known[1]
        del self._cache[token]
        return EXPIRED

    def wants(self, issuer: str | None) -> bool:
        """Tell whether a token that claims to be of ``issuer`` is this one's business; nothing is verified yet."""
        return issuer == self._config.url

    def verify(self, token: bytes, now: float) -> Identified | Awaitable[Identified]:
        """Return who the token speaks of: at once if its key is known, later if the issuer has to be asked."""
        known = self.recall(token, now)
        if known is not None:
            return known
        parts = dissect(token, others=True)  # providers add header names of their own
        if parts is None or parts.algorithm not in self._config.algorithms:
            return CORRUPTED
        claims = read(parts.payload)
        if claims is None:
            return CORRUPTED
        if not self._overdue(now):
            found = self._settle(token, parts, claims, now)
            if found is not None:
                return found
        # Nothing is verified yet. But what its own claims refuse is not worth a question to the issuer.
        judged = self._config.claims.principal(claims, now)
        if isinstance(judged, Fault):
            return judged
        if not self._may_ask(now):
            return self._unknown(now)
        return self._later(token, parts, claims, now)

    def forget(self, test: Callable[[Principal], bool]) -> None:
        """Drop the remembered tokens whose callers ``test`` picks; they are verified anew."""
        if isinstance(test, OfSession):
            return  # none of them has a session of ours
        for token in [token for token, known in self._cache.items() if test(known[1])]:
            del self._cache[token]

    async def drained(self) -> None:
        """Return once no fetch runs that somebody may wait for."""
        while (flight := self._flight) is not None:
            await asyncio.wait((flight,))

    async def aclose(self) -> None:
        """End the fetch, if there is one, and close every connection; whoever waits is told that nothing is known."""
        self._closed = True
        flight = self._flight
        if flight is not None:
            flight.cancel()
            await asyncio.wait((flight,))
        await self._source.aclose()

    # --- tokens ---

    def _settle(self, token: bytes, parts: Signed, claims: dict[str, object], now: float) -> Identified | None:
        """Verify with a key that is known; None where none is, or where a token without ``kid`` may mean a newer one."""
        if self._keys is None or not now - self._fetched < self._config.stale:
            return None
        key = self._keys.find(parts.kid, parts.algorithm)
        if key is None:
            return None
        if not key.verifies(parts.signed, parts.signature):
            return CORRUPTED if parts.kid is not None else None
        judged = self._config.claims.principal(claims, now)
        if isinstance(judged, Fault):
            return judged
        end, principal = judged[0], _ours(self._config, judged[1])
        if self._revocations is not None and self._revocations.ended(principal, now):
            return REVOKED
        if self._config.cache:
            self._cache[token] = (end, principal, key.text)
            if len(self._cache) > self._config.cache:
                self._cache.popitem(last=False)
        return principal

    async def _later(self, token: bytes, parts: Signed, claims: dict[str, object], now: float) -> Identified:
        if self._waiting >= MOST_WAITING:
            return self._unavailable(1, "too many wait for its keys")
        self._waiting += 1
        try:
            # Not awaited itself: who leaves must not end it for the others.
            await asyncio.wait((self._ask(),))
        finally:
            self._waiting -= 1
        return self._settle(token, parts, claims, now) or self._unknown(now)

    def _unknown(self, now: float) -> Fault:
        """Say what is to be said of a token whose key is not known: that there is no such key, or that nobody could tell."""
        if self._keys is not None and not self._trouble:
            return CORRUPTED
        return self._unavailable(self._config.floor - max(0.0, now - self._asked), self._trouble or "it is closed")

    def _unavailable(self, seconds: float, cause: str) -> Fault:
        """Return 503; ``seconds`` until it is worth trying again."""
        return Fault(
            Kind.IDENTITY_UNAVAILABLE,
            cause=f"issuer {self._config.name}: {cause}",
            headers=((b"retry-after", b"%d" % max(1, math.ceil(seconds))),),
        )

    # --- keys ---

    def _overdue(self, now: float) -> bool:
        """Tell whether the keys are so old that nobody can have asked for them lately, although the issuer may answer.

        Only a gateway without any caller of this issuer gets there; then a withdrawn key must not get in unasked.
        """
        old = self._keys is not None and now - self._fetched >= 2 * self._config.refresh
        return old and not self._trouble and self._may_ask(now)

    def _may_ask(self, now: float) -> bool:
        """Tell whether a fetch may begin, or has. A clock that was put back must not stop them."""
        return self._flight is not None or not 0 <= now - self._asked < self._config.floor

    def _ask(self) -> "asyncio.Task[None]":
        """Return the fetch that runs, beginning one if none does."""
        if self._flight is None:
            self._due = math.inf
            self._flight = asyncio.get_running_loop().create_task(self._fetch())
        return self._flight

    async def _fetch(self) -> None:
        try:
            if not self._closed:
                self._take(await self._source.key_set())
                self._trouble = ""
        except (NotFetchedError, ValueError) as error:
            self._troubled(str(error))
        except TimeoutError:
            self._troubled("the provider takes too long")
        except Exception as error:
            # A mistake of ours must not end identification for good: it is told once, and tried again.
            _log.error("issuer %s: fetching its keys failed", self._config.name, exc_info=error)
            self._troubled(type(error).__name__)
        finally:
            self._flight = None
            self._asked = self._clock()
            if self._keys is not None:
                wait = self._config.floor if self._trouble else self._config.refresh
                self._due = self._asked + wait

    def _take(self, content: bytes) -> None:
        if content != self._content:
            keys, skipped = read_key_set(content, self._config.algorithms)
            for reason in skipped:
                _log.warning("issuer %s: %s", self._config.name, reason)
            self._replace(keys)
            self._content = content
        if self._trouble:
            _log.warning("issuer %s: its keys can be had again", self._config.name)
        self._fetched = self._clock()

    def _replace(self, keys: KeySet) -> None:
        """Use ``keys`` from now on; tokens that were signed with others are no longer remembered."""
        for token in [token for token, known in self._cache.items() if known[2] not in keys.prints]:
            del self._cache[token]
        self._keys = keys

    def _troubled(self, cause: str) -> None:
        if cause != self._trouble:
            serving = "those known serve on" if self._keys is not None else "none is known, so its callers get 503"
            _log.warning("issuer %s: its keys cannot be had, and %s: %s", self._config.name, serving, cause)
        self._trouble = cause or "unknown"

    def __repr__(self) -> str:
        """Show what is known; never a token."""
        count = 0 if self._keys is None else len(self._keys)
        state = "in trouble" if self._trouble else "well"
        return f"<Issuer {self._config.name} {state} {count} keys {len(self._cache)}/{self._config.cache} cached>"


def _ours(config: Issuer, principal: Principal) -> Principal:
    """Return the caller with the roles that count here, and without what would be taken for one of our own sessions."""
    roles: frozenset[str] = frozenset()
    if config.role_claim is not None:
        if config.roles is None:
            roles = frozenset(name for name in principal.roles if usable_role(name))
        else:
            roles = frozenset(config.roles[name] for name in principal.roles if name in config.roles)
    # ``sid`` names a session of the issuer's; ours have ids of the same form, and whoever knows one could end it.
    claims: Mapping[str, object] = {name: value for name, value in principal.claims.items() if name != "sid"}
    return replace(principal, roles=roles, claims=claims, memo={})
