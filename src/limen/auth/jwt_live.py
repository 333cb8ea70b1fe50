"""Tokens made live: verified once, remembered until they end. Hostile input gives a Fault, never an exception."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence

from limen.auth.bearer import CORRUPTED, EXPIRED, REVOKED
from limen.auth.jose.claims import PRINTABLE, read
from limen.auth.jose.compact import MOST_BYTES, dissect, signed
from limen.auth.jose.jwk import Jwk
from limen.auth.jwt import Jwt
from limen.auth.revocation import OfSession, RevocationStore
from limen.errors import Fault
from limen.exchange.principal import Principal

__all__ = ["MOST_BYTES", "Verifier", "issue"]


class Verifier:
    """Verifies tokens as ``config`` says, with a bounded cache: the least recently used token is forgotten first.

    What is remembered is dropped when its key is no longer there, and when ``revocations`` end it. So a token that is
    remembered needs neither signature nor question.
    """

    __slots__ = ("_cache", "_claims", "_config", "_revocations", "_ring", "_sessions", "_version")

    def __init__(self, config: Jwt, revocations: RevocationStore | None = None) -> None:
        """Begin with nothing remembered; ``revocations`` knows what ended early, None is nothing."""
        self._config = config
        self._claims = config.claims
        self._ring = config.ring
        self._version = config.ring.version
        self._revocations = revocations
        self._cache: OrderedDict[bytes, tuple[float, Principal, Jwk]] = OrderedDict()
        self._sessions: dict[str, set[bytes]] = {}  # the tokens in it by session, where sessions may end
        if revocations is not None:
            revocations.listen(self.forget)

    def wants(self, issuer: str | None) -> bool:
        """Tell whether a token that says it is from ``issuer`` is this one's business; without an issuer, all are."""
        return self._config.issuer is None or issuer == self._config.issuer

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
            if self._revocations is not None and (session := _session(verified[1])) is not None:
                self._sessions.setdefault(session, set()).add(token)
            if len(self._cache) > self._config.cache:
                self._drop(next(iter(self._cache)))
        return verified[1]

    def recall(self, token: bytes, now: float) -> Principal | Fault | None:
        """Return what is known of a token that was verified before; None for any other."""
        ring = self._ring
        if now >= ring.due or ring.version != self._version:
            self._look(now)
        known = self._cache.get(token)
        if known is None:
            return None
        if now < known[0]:
            self._cache.move_to_end(token)
            return known[1]
        self._drop(token)
        return EXPIRED

    def forget(self, test: Callable[[Principal], bool]) -> None:
        """Drop what is remembered of those callers for whom ``test`` is true."""
        if isinstance(test, OfSession):
            # Clients end sessions as often as they like: this must not cost a look at all that is remembered.
            gone = list(self._sessions.get(test.session, ()))
        else:
            gone = [token for token, (_, principal, _) in self._cache.items() if test(principal)]
        for token in gone:
            self._drop(token)

    def _drop(self, token: bytes) -> None:
        session = _session(self._cache.pop(token)[1])
        tokens = None if session is None else self._sessions.get(session)
        if session is not None and tokens is not None:
            tokens.discard(token)
            if not tokens:
                del self._sessions[session]

    def _look(self, now: float) -> None:
        """See whether the keys have changed, and drop what was verified with one that is not there as it was."""
        ring = self._ring
        ring.look(now)
        if ring.version != self._version:
            self._version = ring.version
            gone = [token for token, (_, _, key) in self._cache.items() if not ring.holds(key)]
            for token in gone:
                self._drop(token)

    def _verify(self, token: bytes, now: float) -> tuple[float, Principal, Jwk] | Fault:
        """Verify: 1 the form, 2 the key by our own configuration, 3 the signature, 4 the claims, 5 an early end."""
        parts = dissect(token)
        if parts is None:
            return CORRUPTED
        key = self._ring.find(parts.kid, parts.algorithm, now)
        if key is None or not key.verifies(parts.signed, parts.signature):
            return CORRUPTED
        claims = read(parts.payload)
        if claims is None:
            return CORRUPTED
        judged = self._claims.principal(claims, now)
        if isinstance(judged, Fault):
            return judged
        end, principal = judged
        if self._revocations is not None and self._revocations.ended(principal, now):
            return REVOKED
        return end if key.retires is None else min(end, key.retires), principal, key

    def __repr__(self) -> str:
        """Show how full the cache is; never a key or a token."""
        return f"<Verifier {','.join(self._config.algorithms)} {len(self._cache)}/{self._config.cache} cached>"


def _session(principal: Principal) -> str | None:
    session = principal.claims.get("sid")
    return session if isinstance(session, str) else None


def issue(
    config: Jwt,
    subject: int | str,
    role: str,
    now: float,
    *,
    session: str | None = None,
    scopes: Sequence[str] = (),
    jti: str | None = None,
) -> str:
    """Return a signed token for ``subject`` with ``role``, which ends ``config.lifetime`` after ``now``.

    ``session`` becomes the claim ``sid``, by which the token can be ended early. ``jti`` is random unless given. Raises
    ValueError where no private key is there, and for what would not be accepted as claims.
    """
    claims: dict[str, object] = {
        config.id_claim: subject,
        config.role_claim: role,
        "iat": int(now),
        "exp": int(now + config.lifetime.total_seconds()),
        "jti": secrets.token_urlsafe(16) if jti is None else jti,
    }
    if session is not None:
        claims["sid"] = session
    if scopes:
        claims[config.scope_claim] = " ".join(scopes)
    if config.issuer is not None:
        claims["iss"] = config.issuer
    if config.audience is not None:
        claims["aud"] = config.audience
    if session == "" or any(" " in scope or not PRINTABLE.fullmatch(scope) for scope in scopes):
        raise ValueError("issue: a session must not be empty, and a scope is one word of printable ASCII")
    # At the beginning of time, so that only what is said can be wrong, and not when.
    accepted = not isinstance(config.claims.principal(claims, 0.0), Fault)
    if not accepted:
        raise ValueError(
            "issue: subject is a number or printable ASCII text, role printable ASCII text, of at most 256"
        )
    try:
        return signed(config.ring.signing(now), claims)
    except ValueError as error:
        raise ValueError(f"Jwt: {error}") from None
