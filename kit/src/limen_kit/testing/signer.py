"""Callers as a gateway states them: the assertion that it signs, and the plain headers beside it."""

import json
from collections.abc import Iterable, Mapping
from time import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey


class Signer:
    """Signs assertions as a gateway does, for the service ``audience``; ``keys`` is the value for its ``IDENTITY_KEYS``.

    ``identity_headers`` returns the assertion and the plain headers, so that one test can run with and without keys.
    """

    def __init__(self, audience: str, *, issuer: str = "limen") -> None:
        """Generate a key."""
        self._audience = audience
        self._issuer = issuer
        self._key = ECKey.generate_key("P-256", auto_kid=True)

    @property
    def keys(self) -> str:
        """The public key, as a JWK Set."""
        return json.dumps({"keys": [self._key.as_dict(private=False)]})

    def identity_headers(
        self,
        subject: int | str,
        role: str | Iterable[str] = "default",
        *,
        scopes: Iterable[str] = (),
        session_id: str | None = None,
        lifetime: float = 3600,
    ) -> dict[str, str]:
        """Return the headers of a request by ``subject``; ``lifetime`` is in seconds, negative for an expired assertion."""
        roles = [role] if isinstance(role, str) else sorted(role)
        now = int(time())
        claims: dict[str, Any] = {"sub": str(subject), "roles": roles, "scope": " ".join(scopes)}
        if session_id is not None:
            claims["sid"] = session_id
        return {
            "request-user-id": str(subject),
            "request-user-role": ",".join(roles),
            "request-session-id": session_id or "",
            "request-identity": self.token({"iat": now - 60, "exp": int(now + lifetime), **claims}),
        }

    def token(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Return an assertion of ``claims``, with default issuer, audience and request id."""
        default_claims = {"iss": self._issuer, "aud": self._audience, "request_id": "test"}
        default_header = {"alg": "ES256", "typ": "identity+jwt", "kid": self._key.kid}
        return jwt.encode(default_header | header, default_claims | dict(claims), self._key, algorithms=["ES256"])
