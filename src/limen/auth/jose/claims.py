"""From the claims of a token with a good signature to a caller: the one place that judges claims (RFC 7519, RFC 8725).

Tokens of the gateway and of outside issuers both come here. Keys and signatures do not. No claim raises: an honest issuer
may still be wrong.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from limen.auth.bearer import EXPIRED, corrupted
from limen.auth.jose.claim_path import Path, claim_at, names_in, path_text, strict_texts
from limen.auth.jose.tenants import Tenants
from limen.errors import Fault
from limen.exchange.principal import Principal

# No blank at either end: readers of a header drop it, and " 1" would become "1".
PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?")

NO_CLAIMS = "its payload is no JSON object, or names something twice"
"""Why a signed text is no token: there are no claims in it."""

# Where tokens have ids and roles that this system does not ask for: named in the log, so that the declaration is mended soon.
_USUAL_IDS = ("sub", "id", "user_id", "uid", "oid")
_USUAL_ROLES = ("roles", "role", "groups", "user_type", "permissions")


@dataclass(frozen=True, slots=True)
class Claims:
    """Which claims are believed, and their names.

    ``issuer`` is checked if given, and with ``tenants`` it stands for several. A token must be made for one of ``audiences``;
    without any, it must be made for nobody in particular (RFC 7519 section 4.1.3). What it is made for is what the first of
    ``audience_claims`` says that it has. ``leeway`` is in seconds, for clocks that differ.

    The claims named hold the caller's id (text or whole number), roles and scopes. ``id_prefix`` comes before each id, and a
    tenant behind that. With ``role_names``, only the roles in it count, under the names that it gives them. With
    ``roles_needed``, a token without a role is refused, and one with an odd role too: the gateway writes no such token.
    """

    issuer: str | None = None
    audiences: tuple[str, ...] = ()
    leeway: float = 0
    id_claim: Path = "id"
    role_claim: Path = "user_type"
    scope_claim: Path = "scope"
    audience_claims: tuple[str, ...] = ("aud",)
    tenants: Tenants | None = None
    id_prefix: str = ""
    role_names: Mapping[str, str] | None = None
    roles_needed: bool = True

    def principal(self, claims: dict[str, object], now: float) -> tuple[float, Principal] | Fault:
        """Return when the token ends, in seconds since the epoch, and the caller; or a Fault.

        1. the time must be right
        2. the token must be of this issuer, and made for this audience
        3. it must say who calls, and with which roles
        """
        ends, starts = claims.get("exp"), claims.get("nbf", 0)  # 1
        if not is_time(ends):
            return corrupted("it has no end that is a time in seconds (exp)")
        if not is_time(starts) or not is_time(claims.get("iat", 0)):
            return corrupted("its beginning is no time in seconds (nbf, iat)")
        end = float(cast("float", ends)) + self.leeway
        if now >= end:
            return EXPIRED
        if now < float(cast("float", starts)) - self.leeway:
            return corrupted("it is not valid yet (nbf); compare the clocks")
        id_prefix = self.id_prefix
        if self.tenants is not None:  # 2
            tenant = self.tenants.of_token(claims)
            if not tenant:
                return corrupted("it is of another issuer, or of a tenant that does not count (iss, tid)")
            # Two tenants may know two people by one id.
            id_prefix += f"{tenant}:"
        elif self.issuer is not None and claims.get("iss") != self.issuer:
            return corrupted("it is of another issuer (iss)")
        refused = self._refused_audience(claims)
        if refused:
            return corrupted(refused)
        caller_id = _id_text(claim_at(claims, self.id_claim))  # 3
        if caller_id is None:
            return corrupted(_unread(claims, "id of a caller", "id_claim", self.id_claim, _USUAL_IDS))
        roles = self._roles(claims)
        if not roles and self.roles_needed:
            return corrupted(_unread(claims, "role", "role_claim", self.role_claim, _USUAL_ROLES))
        scopes = strict_texts(claim_at(claims, self.scope_claim), split=True)
        return end, Principal(id_prefix + caller_id, roles, scopes, claims)

    def caller(self, claims: dict[str, object]) -> Principal | None:
        """Return the caller of claims that somebody else has judged: of them, only who it is is read. None without an id.

        What is no text, and no list of texts, is no role and no scope.
        """
        caller_id = _id_text(claim_at(claims, self.id_claim))
        if caller_id is None:
            return None
        scopes = strict_texts(claim_at(claims, self.scope_claim), split=True)
        return Principal(self.id_prefix + caller_id, self._roles(claims), scopes, claims)

    def _refused_audience(self, claims: Mapping[str, object]) -> str:
        """Return why the token is not for this system; "" if it is."""
        claim = next((name for name in self.audience_claims if name in claims), "")
        if not self.audiences:
            return f"it is made for an audience ({claim}), and none is declared: give audience=" if claim else ""
        if not claim:
            return f"it does not say for whom it is made ({', '.join(self.audience_claims)})"
        # Only `aud` may be a list: the others name the one client that has got the token.
        named = strict_texts(claims[claim], split=False, several=claim == "aud")
        return f"it is made for another audience ({claim})" if named.isdisjoint(self.audiences) else ""

    def _roles(self, claims: Mapping[str, object]) -> frozenset[str]:
        """Return the roles that count. From outside, an odd one is dropped and the others stay."""
        value = claim_at(claims, self.role_claim)
        if self.roles_needed:
            texts = strict_texts(value, split=False)
            return texts if all(PRINTABLE.fullmatch(text) for text in texts) else frozenset()
        names = names_in(value)
        if self.role_names is not None:
            return frozenset(self.role_names[name] for name in names if name in self.role_names)
        return frozenset(name for name in names if PRINTABLE.fullmatch(name))


def is_time(value: object) -> bool:
    """Tell whether ``value`` is a plausible NumericDate (RFC 7519 section 2)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _unread(claims: Mapping[str, object], what: str, option: str, path: Path, usual: tuple[str, ...]) -> str:
    """Return which claim was looked for, and which one of the ``usual`` the token has instead. No value is repeated."""
    cause = f"the claim {path_text(path)} ({option}=) holds no {what}"
    instead = next((name for name in usual if name in claims and name != path), None)
    return cause if instead is None else f"{cause}; the token has {instead}"


def _id_text(value: object) -> str | None:
    """Return an id as text: a whole number that a database could hold, or printable text; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 64:
        return str(value)
    return value if isinstance(value, str) and PRINTABLE.fullmatch(value) else None
