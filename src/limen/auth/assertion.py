"""How the gateway vouches for its callers to the services. Configuration only, checked when it is made."""

from dataclasses import dataclass, field
from datetime import timedelta

from limen.auth.jose.keys import Keys

SIGNING = ("ES256", "EdDSA")
"""Algorithms of assertions. None is symmetric: a service that verifies with a shared secret could also sign with it, and
pose as the gateway to other services.
"""

LONGEST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Assertion:
    """A signed statement of who is calling, sent to the service as ``request-identity`` beside the plain headers.

    A service that verifies it (``IDENTITY_KEYS`` of ``limen_kit``) believes only this gateway, even if others can reach the
    service. It is a JWT (RFC 7519) of the type ``identity+jwt`` with ``iss``, ``aud`` (the upstream's name), ``sub``,
    ``roles``, ``scope``, ``sid`` if there is a session, ``request_id`` (of the request it was made for), ``iat`` and
    ``exp``.

    ``keys`` hold the private key, for ES256 or EdDSA: ``limen keys new`` makes one. It should sign nothing else. ``issuer``
    is what services expect in ``iss``. ``lifetime`` is 10 seconds to 10 minutes: for so long, whoever has seen an assertion
    can replay it, to the same service alone. One assertion serves several requests of a caller until three quarters of its
    lifetime are over, so that signing costs little.

    On routes for anyone there is no caller, and nothing is sent: a service cannot tell such a request from one that bypassed
    the gateway. It need not, as long as its answer depends on nobody's identity. What it keeps from the public must ask for
    a caller.
    """

    keys: Keys | str = field(repr=False)
    issuer: str = field(default="limen", kw_only=True)
    lifetime: timedelta = field(default=timedelta(seconds=60), kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what no service could rely on. A text is a JWK Set or a key as PEM; no message repeats it."""
        if not isinstance(self.keys, Keys):
            object.__setattr__(self, "keys", Keys.of(self.keys))
        if not self.issuer or not self.issuer.isprintable():
            raise ValueError("Assertion: issuer is a name or an address that services expect, such as 'limen'")
        if not timedelta(seconds=10) <= self.lifetime <= LONGEST:
            raise ValueError(
                f"Assertion: lifetime is 10 seconds to 10 minutes, not {self.lifetime}: less would be refused by clocks "
                "that differ, more could be repeated for too long"
            )

    @property
    def source(self) -> Keys:
        """The source of the keys."""
        assert isinstance(self.keys, Keys)
        return self.keys
