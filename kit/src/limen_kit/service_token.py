"""The token with which a service identifies itself at the gateway, when nobody's request is the reason for a call.

It says who calls, and is signed with a secret that only this service and the gateway have. This module loads a
cryptographic library, so it is imported only where such calls are made.
"""

from joserfc import jwt
from joserfc.jwk import OctKey

LEAST_SECRET = 32
"""Bytes of a secret (RFC 7518 section 3.2: no fewer than the digest)."""

LIFETIME = 60
"""Seconds that a token lasts. One is made for each call, so it has to outlast only that and a difference of the clocks."""


class ServiceToken:
    """Makes tokens (RFC 7519, HS256) of the service ``name`` with the role ``service``, for the receiver ``audience``."""

    def __init__(self, name: str, secret: str, *, audience: str) -> None:
        """Check the secret; raises ValueError, which does not repeat it."""
        if len(secret.encode()) < LEAST_SECRET:
            raise ValueError(f"the secret has {len(secret.encode())} bytes; use at least {LEAST_SECRET} random ones")
        self._name = name
        self._audience = audience
        self._key = OctKey.import_key(secret)

    def __repr__(self) -> str:
        """Show whose it is, without the secret."""
        return f"ServiceToken({self._name!r}, audience={self._audience!r})"

    def at(self, now: float) -> str:
        """Return a token that begins at ``now``, in seconds since the epoch."""
        claims = {
            "iss": self._name,
            "aud": self._audience,
            "id": self._name,
            "user_type": "service",
            "iat": int(now),
            "exp": int(now) + LIFETIME,
        }
        return jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, self._key, algorithms=["HS256"])
