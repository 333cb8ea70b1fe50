"""The keys in use: those of a source, and those that it has once it has changed. Decides which verifies and which signs.

It stands below the gates because several of them sign and verify with one set, and no gate imports another.
"""

import logging
from collections.abc import Sequence
from math import inf

from limen.auth.jose.jwk import Jwk
from limen.auth.jose.keys import Keys

logger = logging.getLogger("limen.keys")

LOOK = 5.0
"""Seconds after which a source is looked at again, when somebody asks for a key."""
FLOOR = 1.0
"""Least seconds between two readings that unknown key ids cause: whoever invents ids must not keep us reading."""


class Keyring:
    """A set of keys in use. A source that cannot be read any more keeps the set as it was, and is logged.

    ``due`` is when the next look is, in seconds since the epoch; ``version`` differs after each change.
    """

    __slots__ = ("_algorithms", "_by_kid", "_read", "_source", "_stamp", "_warned", "due", "keys", "version")

    def __init__(self, source: Keys | Sequence[Jwk], algorithms: Sequence[str] = ()) -> None:
        """Read ``source``, or take the keys given; ``algorithms`` are those accepted, if not all. Raises ValueError."""
        self._algorithms = tuple(algorithms)
        self._source = source if isinstance(source, Keys) and source.changes else None
        self._stamp = None if self._source is None else self._source.stamp()
        self._read = -inf
        self._warned = ""
        self.due = inf if self._source is None else -inf
        self.version = 0
        self.keys = source.load(self._algorithms) if isinstance(source, Keys) else tuple(source)
        self._by_kid = {key.kid: key for key in self.keys}

    def look(self, now: float) -> None:
        """Read the source again if that is due; ``now`` is in seconds since the epoch."""
        # A clock that was set back must not keep old keys alive until it has caught up.
        if self._source is not None and (now >= self.due or now < self._read):
            self._reload(self._source, now)

    def find(self, kid: str | None, algorithm: str, now: float) -> Jwk | None:
        """Return the key that a token with this header is to be verified with; None where there is none, or no only one."""
        self.look(now)
        found = self._found(kid, algorithm, now)
        if found is None and kid is not None and self._source is not None and kid not in self._by_kid:
            if now >= self._read + FLOOR or self._source.stamp() != self._stamp:
                self._reload(self._source, now)
            found = self._found(kid, algorithm, now)
        return found

    def signing(self, now: float) -> Jwk:
        """Return the newest private key that is not retired; raises ValueError where there is none."""
        self.look(now)
        private = [key for key in self.keys if key.private]
        if not private:
            raise ValueError("the key is public and signs nothing; give the private key")
        able = [key for key in private if key.retires is None]
        if not able:
            raise ValueError("every private key is retired and signs nothing; make another: limen keys rotate")
        return max(able, key=lambda key: (key.created, key.kid)) if able[0].kid else able[0]

    def public(self, now: float) -> dict[str, list[dict[str, str]]]:
        """Return the JWK Set that others verify with (RFC 7517 section 5): public halves of what has not ended."""
        self.look(now)
        if self._source is not None and self._source.stamp() != self._stamp:
            self._reload(self._source, now)  # another worker may sign with a new key already
        found = (key.public() for key in self.keys if not key.ended(now))
        members = {member["kid"]: member for member in found if member is not None}
        return {"keys": list(members.values())}

    def holds(self, key: Jwk) -> bool:
        """Tell whether ``key`` is still one of them, and unchanged."""
        return any(one is key for one in self.keys)

    def _found(self, kid: str | None, algorithm: str, now: float) -> Jwk | None:
        # A single key of the configuration has no name, and takes tokens under any.
        if kid is None or "" in self._by_kid:
            fitting = [key for key in self.keys if key.algorithm == algorithm and not key.ended(now)]
            return fitting[0] if len(fitting) == 1 else None
        key = self._by_kid.get(kid)
        return None if key is None or key.algorithm != algorithm or key.ended(now) else key

    def _reload(self, source: Keys, now: float) -> None:
        self._read, self.due = now, now + LOOK
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
        """Show what the keys are called, never what they are."""
        names = ", ".join(f"{key.kid or '-'}:{key.algorithm}" for key in self.keys)
        return f"<Keyring {names}>"
