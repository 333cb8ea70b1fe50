"""From the claims of a token whose signature is good to a caller: the one place where they are judged (RFC 7519, RFC 8725).

Shared by our own tokens and other people's. Nothing of keys and signatures lives here, and nothing here raises on what a
token says: whoever signs may be honest and wrong.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from json import JSONDecoder
from typing import cast

from limen.auth.bearer import CORRUPTED, EXPIRED
from limen.errors import Fault
from limen.exchange.principal import Principal

DEEPEST = 16
MOST_NESTED = 512
# No blank at either end: a header's reader drops it, and " 1" would become "1".
PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[\[{}\]]")


@dataclass(frozen=True, slots=True)
class Claims:
    """Which claims are believed, and what they are called.

    ``issuer`` and ``audience`` are checked when given. ``leeway`` is in seconds, for clocks that differ. The claims named
    hold the caller's id (text or whole number), roles (text or list) and scopes (space-separated text or list); a name with
    dots that is no claim of its own is a path into objects, such as ``realm_access.roles``. ``id_prefix`` is put before
    each id. With ``roles_needed``, a token that names no role is refused.
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
        """Return the caller and when the token ends, both of it in seconds since the epoch, or why it is not believed."""
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
        name = _name(_at(claims, self.id_claim))
        given = _at(claims, self.role_claim)
        roles = _words(given, split=False)
        if name is None or not all(PRINTABLE.fullmatch(text) for text in roles):
            return CORRUPTED
        # A claim of roles that has the wrong form is never the same as no claim: [] says "none", 7 says nothing.
        if not roles and (self.roles_needed or (given is not None and given != [])):
            return CORRUPTED
        name = self.id_prefix + name
        return end, Principal(name, roles, _words(_at(claims, self.scope_claim), split=True), claims)


def read(text: bytes) -> dict[str, object] | None:
    """Return the JSON object that ``text`` is; None for anything else, for a name given twice, and for much or deep nesting.

    Never raises. The depth is looked at first: what a parser does at its own limit is not the same in all versions.
    """
    nested = text.count(b"[") + text.count(b"{")
    if nested > DEEPEST and (nested > MOST_NESTED or _deep(text)):
        return None
    try:
        found = _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def is_time(value: object) -> bool:
    """Tell whether ``value`` is a NumericDate that somebody could mean (RFC 7519 section 2)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _deep(text: bytes) -> bool:
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON")


_DECODER = JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number)


def _at(claims: Mapping[str, object], name: str) -> object:
    """Return the claim of that name; else what the path leads to. Namespaced names are URLs, whose dots are no path."""
    if name in claims or "." not in name:
        return claims.get(name)
    found: object = claims
    for step in name.split("."):
        if not isinstance(found, dict):
            return None
        found = cast("Mapping[str, object]", found).get(step)
    return found


def _name(value: object) -> str | None:
    """Return an id as text: a whole number that a database could hold, or printable text."""
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
