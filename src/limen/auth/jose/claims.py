"""From the claims of a token with a good signature to a caller: the one place that judges claims (RFC 7519, RFC 8725).

Tokens of the gateway and of outside issuers both come here. Keys and signatures do not. No claim raises: an honest issuer
may still be wrong.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from limen.auth.bearer import CORRUPTED, EXPIRED
from limen.errors import Fault
from limen.exchange.principal import Principal

# No blank at either end: readers of a header drop it, and " 1" would become "1".
PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Claims:
    """Which claims are believed, and their names.

    ``issuer`` and ``audience`` are checked if given. ``leeway`` is in seconds, for clocks that differ. The claims named hold
    the caller's id (text or whole number), roles (text or list) and scopes (space-separated text or list). A name with dots
    that is no claim itself is a path into objects, such as ``realm_access.roles``. ``id_prefix`` comes before each id. With
    ``roles_needed``, a token without a role is refused.
    """

    issuer: str | None = None
    audience: str | None = None
    leeway: float = 0
    id_claim: str = "id"
    role_claim: str = "user_type"
    scope_claim: str = "scope"
    id_prefix: str = ""
    roles_needed: bool = True

    def principal(self, claims: dict[str, object], now: float) -> tuple[float, Principal] | Fault:
        """Return when the token ends, in seconds since the epoch, and the caller; or a Fault."""
        ends, starts = claims.get("exp"), claims.get("nbf", 0)
        if not is_time(ends) or not is_time(starts) or not is_time(claims.get("iat", 0)):
            return CORRUPTED
        end = float(cast("float", ends)) + self.leeway
        if now >= end:
            return EXPIRED
        if now < float(cast("float", starts)) - self.leeway:
            return CORRUPTED
        if self.issuer is not None and claims.get("iss") != self.issuer:
            return CORRUPTED
        if self.audience is not None and self.audience not in _words(claims.get("aud"), split=False):
            return CORRUPTED
        caller_id = _id_text(_claim_at(claims, self.id_claim))
        role_value = _claim_at(claims, self.role_claim)
        roles = _words(role_value, split=False)
        if caller_id is None or not all(PRINTABLE.fullmatch(text) for text in roles):
            return CORRUPTED
        # A malformed claim of roles is not the same as none: [] says "no roles", 7 says nothing.
        if not roles and (self.roles_needed or (role_value is not None and role_value != [])):
            return CORRUPTED
        caller_id = self.id_prefix + caller_id
        return end, Principal(caller_id, roles, _words(_claim_at(claims, self.scope_claim), split=True), claims)

    def caller(self, claims: dict[str, object]) -> Principal | None:
        """Return the caller of claims that somebody else has judged: of them, only who it is is read. None without an id.

        What is no text, and no list of texts, is no role and no scope.
        """
        caller_id = _id_text(_claim_at(claims, self.id_claim))
        if caller_id is None:
            return None
        words = _words(_claim_at(claims, self.role_claim), split=False)
        roles = frozenset(text for text in words if PRINTABLE.fullmatch(text))
        scopes = _words(_claim_at(claims, self.scope_claim), split=True)
        return Principal(self.id_prefix + caller_id, roles, scopes, claims)


def is_time(value: object) -> bool:
    """Tell whether ``value`` is a plausible NumericDate (RFC 7519 section 2)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _claim_at(claims: Mapping[str, object], name: str) -> object:
    """Return the claim ``name``, else the value at that path. The dots of a namespaced name, which is a URL, are no path."""
    if name in claims or "." not in name:
        return claims.get(name)
    value: object = claims
    for step in name.split("."):
        if not isinstance(value, dict):
            return None
        value = cast("Mapping[str, object]", value).get(step)
    return value


def _id_text(value: object) -> str | None:
    """Return an id as text: a whole number that a database could hold, or printable text; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 64:
        return str(value)
    return value if isinstance(value, str) and PRINTABLE.fullmatch(value) else None


def _words(value: object, *, split: bool) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset(value.split() if split else (value,))
    if isinstance(value, list):
        items = cast("list[object]", value)
        if all(isinstance(item, str) for item in items):
            return frozenset(cast("list[str]", items))
    return frozenset()
