"""Signs assertions about callers: once per caller and service, and again when one is old.

They are cached in the caller's ``memo``, so they end with the token, and at once if the token is revoked.
"""

import logging

from limen.auth.assertion import SIGNING, Assertion
from limen.auth.jose.compact import sign_jws
from limen.auth.jose.jwk import Jwk
from limen.auth.jose.keyring import Keyring
from limen.exchange.principal import Principal

HEADER = b"request-identity"
"""The header of an assertion; no client may send it."""

# RFC 8725 section 3.11: the type tells it from an access token, even if one key signs both.
TYPE = "identity+jwt"

_log = logging.getLogger("limen.identity")


class Asserter:
    """Signs assertions as ``config`` says."""

    __slots__ = ("_config", "_fresh", "_key", "_keyring", "_lifetime")

    def __init__(self, config: Assertion) -> None:
        """Load the keys; raises ValueError if none of them can sign."""
        self._config = config
        self._lifetime = config.lifetime.total_seconds()
        self._fresh = self._lifetime * 3 / 4
        try:
            self._keyring = Keyring(config.source, SIGNING)
            self._key = self._keyring.signing(0.0)
        except ValueError as error:
            raise ValueError(f"Assertion: {str(error).removeprefix('Jwt: ')}") from None

    def line(self, principal: Principal, audience: str, request_id: str, now: float) -> bytes:
        """Return the header line, with its end, that tells the service ``audience`` who is calling.

        ``now`` is in seconds since the epoch. ``request_id`` is that of the request for which the assertion is signed.
        """
        cached: dict[str, tuple[float, float, bytes]] | None = principal.memo.get(self)
        if cached is None:
            principal.memo[self] = cached = {}
        known = cached.get(audience)
        # The lower bound is for a clock that was set back: services do not believe what comes from the future.
        if known is not None and known[0] <= now < known[1]:
            return known[2]
        line = HEADER + b": " + self._token(principal, audience, request_id, now) + b"\r\n"
        cached[audience] = (now, now + self._fresh, line)
        return line

    def public(self, now: float) -> dict[str, list[dict[str, str]]]:
        """Return the JWK Set that services verify with (RFC 7517 section 5)."""
        return self._keyring.public(now)

    def _token(self, principal: Principal, audience: str, request_id: str, now: float) -> bytes:
        claims: dict[str, object] = {
            "iss": self._config.issuer,
            "aud": audience,
            "sub": principal.id,
            "roles": sorted(principal.roles),
            "scope": " ".join(sorted(principal.scopes)),
            "request_id": request_id,
            "iat": int(now),
            "exp": int(now + self._lifetime),
        }
        session = principal.claims.get("sid")
        if isinstance(session, str) and session:
            claims["sid"] = session
        return sign_jws(self._signing(now), claims, TYPE).encode()

    def _signing(self, now: float) -> Jwk:
        try:
            key = self._keyring.signing(now)
        except ValueError as error:
            # The keys have changed, and none can sign. Services may still know the last one, so no request has to fail.
            _log.error("assertions: the last key signs on: %s", str(error).removeprefix("Jwt: "))
            return self._key
        self._key = key
        return key

    def __repr__(self) -> str:
        """Show the issuer and the names of the keys; never a key."""
        return f"<Asserter {self._config.issuer} {self._keyring!r}>"
