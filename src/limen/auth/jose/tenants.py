"""One issuer for many tenants: a name with ``{tenantid}`` in it, as Entra ID has for applications of several organisations.

What stands in the place of ``{tenantid}`` in a token's ``iss`` is its tenant. Pure, and judged before anything is verified:
so nothing here may be slow.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

PLACE = "{tenantid}"
# Tenants are ids (UUID) or domains. No slash and no colon: a tenant must not reach into what stands around it.
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,127}")


@dataclass(frozen=True, slots=True)
class Tenants:
    """The issuers that ``template`` stands for; of ``accepted`` tenants alone, if any are named."""

    template: str
    accepted: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Raise ValueError for a template without one single place, and for tenants that could never match."""
        if self.template.count(PLACE) != 1:
            raise ValueError(f"{self.template!r} must hold {PLACE} once")
        for tenant in self.accepted:
            if not _TENANT.fullmatch(tenant):
                raise ValueError(f"tenants= holds {tenant!r}, which is no id of a tenant and no domain")

    @classmethod
    def of(cls, template: str, accepted: Collection[str] | None) -> "Tenants | None":
        """Return the tenants of ``template``; None for a name without ``{tenantid}``."""
        return cls(template, frozenset(accepted or ())) if PLACE in template else None

    def named(self, issuer: object) -> str:
        """Return the tenant that ``issuer``, the ``iss`` of a token, names; "" if it is none of these issuers."""
        before, _, after = self.template.partition(PLACE)
        if not isinstance(issuer, str) or len(issuer) <= len(before) + len(after):
            return ""
        if not issuer.startswith(before) or not issuer.endswith(after):
            return ""
        tenant = issuer[len(before) : len(issuer) - len(after)]
        if not _TENANT.fullmatch(tenant) or (self.accepted and tenant not in self.accepted):
            return ""
        return tenant

    def of_token(self, claims: Mapping[str, object]) -> str:
        """Return the tenant of a token with ``claims``; "" if there is none, or if ``tid`` names another one."""
        tenant = self.named(claims.get("iss"))
        return tenant if claims.get("tid", tenant) == tenant else ""
