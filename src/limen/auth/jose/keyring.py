"""The keys in use: which one verifies and which one signs, also while their source changes.

Verifiers and signers share one set of keys, and do not import each other: so it has a module of its own.
"""

import logging
from collections.abc import Sequence
from math import inf

from limen.auth.jose.jwk import Jwk
from limen.auth.jose.keys import Keys

logger = logging.getLogger("limen.keys")

REFRESH_INTERVAL = 5.0
"""Seconds after which a source is checked for changes, when somebody needs a key."""
LEAST_READ_INTERVAL = 1.0
"""Least seconds between two readings because of unknown key ids: an attacker may invent as many as he likes."""


class Keyring:
    """A set of keys in use. If its source cannot be read any more, the keys stay, and the problem is logged.

    ``due`` is when the source is checked next, in seconds since the epoch. ``version`` changes with the keys.
    """

    __slots__ = ("_algorithms", "_by_kid", "_read_at", "_source", "_stamp", "_warned", "due", "keys", "version")

    def __init__(self, source: Keys | Sequence[Jwk], algorithms: Sequence[str] = ()) -> None:
        """Read ``source``, or use the keys given. ``algorithms`` are those accepted, if not all. Raises ValueError."""
        self._algorithms = tuple(algorithms)
        self._source = source if isinstance(source, Keys) and source.changes else None
        self._stamp = None if self._source is None else self._source.stamp()
        self._read_at = -inf
        self._warned = ""
        self.due = inf if self._source is None else -inf
        self.version = 0
        self.keys = source.load(self._algorithms) if isinstance(source, Keys) else tuple(source)
        self._by_kid = {key.kid: key for key in self.keys}

    def refresh_if_due(self, now: float) -> None:
        """Read the source again if that is due; ``now`` is in seconds since the epoch."""
        # A clock that was set back must not keep old keys until it has caught up.
        if self._source is not None and (now >= self.due or now < self._read_at):
            self._reload(self._source, now)

    def find(self, kid: str | None, algorithm: str, now: float) -> Jwk | None:
        """Return the key to verify a token with this header; None if there is none, or no single one."""
        self.refresh_if_due(now)
        key = self._matching(kid, algorithm, now)
        if key is None and kid is not None and self._source is not None and kid not in self._by_kid:
            if now >= self._read_at + LEAST_READ_INTERVAL or self._source.stamp() != self._stamp:
                self._reload(self._source, now)
            key = self._matching(kid, algorithm, now)
        return key

    def signing(self, now: float) -> Jwk:
        """Return the newest private key that is not retired; raises ValueError if there is none."""
        self.refresh_if_due(now)
        private = [key for key in self.keys if key.private]
        if not private:
            raise ValueError("the key is public and signs nothing; give the private key")
        active = [key for key in private if key.retires is None]
        if not active:
            raise ValueError("every private key is retired and signs nothing; make another: limen keys rotate")
        return max(active, key=lambda key: (key.created, key.kid)) if active[0].kid else active[0]

    def public(self, now: float) -> dict[str, list[dict[str, str]]]:
        """Return the JWK Set to publish (RFC 7517 section 5): the public halves of the keys that have not ended."""
        self.refresh_if_due(now)
        if self._source is not None and self._source.stamp() != self._stamp:
            self._reload(self._source, now)  # another worker may already sign with a new key
        public = (key.public() for key in self.keys if not key.ended(now))
        by_kid = {jwk["kid"]: jwk for jwk in public if jwk is not None}
        return {"keys": list(by_kid.values())}

    def holds(self, key: Jwk) -> bool:
        """Tell whether ``key`` is one of these keys, and unchanged."""
        return any(one is key for one in self.keys)

    def _matching(self, kid: str | None, algorithm: str, now: float) -> Jwk | None:
        # A configured key without a kid verifies tokens with any kid.
        if kid is None or "" in self._by_kid:
            fitting = [key for key in self.keys if key.algorithm == algorithm and not key.ended(now)]
            return fitting[0] if len(fitting) == 1 else None
        key = self._by_kid.get(kid)
        return None if key is None or key.algorithm != algorithm or key.ended(now) else key

    def _reload(self, source: Keys, now: float) -> None:
        self._read_at, self.due = now, now + REFRESH_INTERVAL
        self._stamp = source.stamp()
        try:
            keys = source.load(self._algorithms, {key.text: key for key in self.keys})
        except ValueError as error:
            if str(error) != self._warned:
                logger.warning("keys: not read anew, those in use stay: %s", error)
            self._warned = str(error)
            return
        self._warned = ""
        if len(keys) != len(self.keys) or not all(self.holds(key) for key in keys):
            self.keys, self.version = keys, self.version + 1
            self._by_kid = {key.kid: key for key in keys}
            logger.info("keys: %d in use from %s", len(keys), source.place)

    def __repr__(self) -> str:
        """Show the names of the keys, never the keys."""
        names = ", ".join(f"{key.kid or '-'}:{key.algorithm}" for key in self.keys)
        return f"<Keyring {names}>"
