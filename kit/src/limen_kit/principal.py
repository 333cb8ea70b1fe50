"""Who is calling: the identity that the gateway states, and the user of the users service. Data only: ``limen_kit.assertion``
verifies it, ``limen_kit.identity`` reads it from a request.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller as the gateway states it. ``subject`` is text: users of an external issuer need not have a number."""

    subject: str
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller with an ``id`` at the users service. ``session_id`` None means no session, as for a machine with an API key.

    Without signed identity ``scopes`` is empty, and several roles arrive as one joined text, which matches no role.
    """

    id: int
    roles: frozenset[str]
    scopes: frozenset[str] = frozenset()
    session_id: str | None = None

    @property
    def role(self) -> str:
        """The role; several are joined by commas."""
        return ",".join(sorted(self.roles)) or "default"

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do everything."""
        return "admin" in self.roles
