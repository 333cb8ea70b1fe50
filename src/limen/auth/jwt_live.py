"""Verifies the gateway's own tokens, caches the result until a token ends, and issues tokens.

Hostile input gives a Fault, never an exception.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence

from limen.auth.bearer import EXPIRED, REVOKED, corrupted
from limen.auth.jose.claims import NO_CLAIMS, PRINTABLE
from limen.auth.jose.compact import MOST_BYTES, parse_jws, sign_jws
from limen.auth.jose.json_object import read_json_object
from limen.auth.jose.jwk import Jwk
from limen.auth.jwt import Jwt
from limen.auth.revocation import RevocationStore, SessionTest
from limen.errors import Fault
from limen.exchange.principal import Principal

__all__ = ["MOST_BYTES", "Verifier", "issue"]


class Verifier:
    """Verifies tokens as ``config`` says, with a bounded cache: the least recently used token is dropped first.

    A cached token is dropped when its key is no longer in use, and when ``revocations`` end it. So it needs neither a
    signature check nor a question to the store.
    """

    __slots__ = ("_cache", "_claims", "_config", "_revocations", "_ring", "_sessions", "_version", "token_size")

    def __init__(self, config: Jwt, revocations: RevocationStore | None = None) -> None:
        """Begin with an empty cache. ``revocations`` knows which tokens ended early; None is none."""
        self.token_size = MOST_BYTES
        self._config = config
        self._claims = config.claims
        self._ring = config.ring
        self._version = config.ring.version
        self._revocations = revocations
        self._cache: OrderedDict[bytes, tuple[float, Principal, Jwk]] = OrderedDict()
        self._sessions: dict[str, set[bytes]] = {}  # cached tokens by session, if sessions may end
        if revocations is not None:
            revocations.listen(self.forget)

    def wants(self, issuer: str | None) -> bool:
        """Tell whether to verify a token that claims to be of ``issuer``; a configuration without an issuer verifies all."""
        return self._config.issuer is None or issuer == self._config.issuer

    def verify(self, token: bytes, now: float) -> Principal | Fault:
        """Return whose token it is; ``now`` is in seconds since the epoch."""
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
        """Return the cached result for a token that was verified before; None for any other."""
        ring = self._ring
        if now >= ring.due or ring.version != self._version:
            self._refresh_keys(now)
        known = self._cache.get(token)
        if known is None:
            return None
        if now < known[0]:
            self._cache.move_to_end(token)
            return known[1]
        self._drop(token)
        return EXPIRED

    def forget(self, test: Callable[[Principal], bool]) -> None:
        """Drop the cached tokens of callers for whom ``test`` is true."""
        if isinstance(test, SessionTest):
            # Clients end sessions as often as they like: this must not take a walk through the whole cache.
            dropped = list(self._sessions.get(test.session, ()))
        else:
            dropped = [token for token, (_, principal, _) in self._cache.items() if test(principal)]
        for token in dropped:
            self._drop(token)

    def _drop(self, token: bytes) -> None:
        session = _session(self._cache.pop(token)[1])
        tokens = None if session is None else self._sessions.get(session)
        if session is not None and tokens is not None:
            tokens.discard(token)
            if not tokens:
                del self._sessions[session]

    def _refresh_keys(self, now: float) -> None:
        """Refresh the keys, and drop the tokens that were verified with a key that is gone or changed."""
        ring = self._ring
        ring.refresh_if_due(now)
        if ring.version != self._version:
            self._version = ring.version
            dropped = [token for token, (_, _, key) in self._cache.items() if not ring.holds(key)]
            for token in dropped:
                self._drop(token)

    def _verify(self, token: bytes, now: float) -> tuple[float, Principal, Jwk] | Fault:
        """Verify a token.

        1. parse it
        2. find the key, by the configuration alone
        3. check the signature
        4. check the claims
        5. ask whether it ended early
        """
        parts = parse_jws(token)  # 1
        if isinstance(parts, str):
            return corrupted(parts)
        key = self._ring.find(parts.kid, parts.algorithm, now)  # 2
        if key is None:
            return corrupted("no key in use has its kid and its algorithm")
        if not key.verifies(parts.signing_input, parts.signature):  # 3
            return corrupted("its signature is not of the key in use")
        claims = read_json_object(parts.payload)
        if claims is None:
            return corrupted(NO_CLAIMS)
        checked = self._claims.principal(claims, now)  # 4
        if isinstance(checked, Fault):
            return checked
        end, principal = checked
        if self._revocations is not None and self._revocations.ended(principal, now):  # 5
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
    ValueError if there is no private key, and for what would not be accepted as claims.
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
    audiences = config.audiences
    if audiences:
        claims["aud"] = audiences[0]
    if session == "" or any(" " in scope or not PRINTABLE.fullmatch(scope) for scope in scopes):
        raise ValueError("issue: a session must not be empty, and a scope is one word of printable ASCII")
    # At time 0 no token has ended, so that only the claims can be wrong.
    accepted = not isinstance(config.claims.principal(claims, 0.0), Fault)
    if not accepted:
        raise ValueError(
            "issue: subject is a number or printable ASCII text, role printable ASCII text, of at most 256"
        )
    try:
        return sign_jws(config.ring.signing(now), claims)
    except ValueError as error:
        raise ValueError(f"Jwt: {error}") from None
