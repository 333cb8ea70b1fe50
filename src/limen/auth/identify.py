"""Who is calling, by any of a route's methods: the header is read once, then the method whose credential it is decides.

A credential that was verified before is known at once. Only a method that has to ask somebody else answers later.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from limen.auth.bearer import CORRUPTED, MISSING, bearer_token
from limen.auth.jose.claims import read
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.http.headers import Head

Identified = Principal | Fault
Identify = Callable[[Head, float, bytes], Identified | Awaitable[Identified]]
"""Of a head, the time in seconds since the epoch, and the lines that say where the request comes from."""

UNAVAILABLE = Fault(Kind.IDENTITY_UNAVAILABLE, headers=((b"retry-after", b"5"),))
"""Whoever knows the caller does not answer; it says nothing about the credential."""

# What is looked at of a token, to see whose business it is, before anything is verified.
_MOST_BYTES = 8192


class Bearer(Protocol):
    """What verifies tokens of one issuer."""

    def recall(self, token: bytes, now: float) -> Identified | None:
        """Return what is known of a token that was verified before; None for any other."""
        ...

    def wants(self, issuer: str | None) -> bool:
        """Tell whether a token that claims to be of ``issuer`` is its business; nothing is verified yet."""
        ...

    def verify(self, token: bytes, now: float) -> Identified | Awaitable[Identified]:
        """Return who the token speaks of, at once or later."""
        ...


class Keyed(Protocol):
    """What verifies API keys, which come in a header of their own."""

    header: bytes

    def verify(self, key: bytes, now: float, origin: bytes) -> Identified | Awaitable[Identified]:
        """Return whose key it is, at once or later; ``origin`` are the lines that say which client brings it."""
        ...


def identify_by(bearers: Sequence[Bearer], keyed: Sequence[Keyed]) -> Identify:
    """Return how a route finds out who is calling."""
    by_token = _by_token(bearers) if bearers else _no_token
    if not keyed:
        return by_token

    def identify(head: Head, now: float, origin: bytes) -> Identified | Awaitable[Identified]:
        given = [(one, values) for one in keyed if (values := head.all(one.header))]
        if not given:
            return by_token(head, now, origin)
        # Two credentials may name two callers: nobody may choose which of them is believed.
        if len(given) > 1 or len(given[0][1]) > 1 or head.all(b"authorization"):
            return CORRUPTED
        one, (key,) = given[0]
        return one.verify(key, now, origin)

    return identify


def _no_token(head: Head, now: float, origin: bytes) -> Identified:
    return CORRUPTED if head.all(b"authorization") else MISSING


def _by_token(bearers: Sequence[Bearer]) -> Identify:
    only = bearers[0] if len(bearers) == 1 else None

    def identify(head: Head, now: float, origin: bytes) -> Identified | Awaitable[Identified]:
        authorization = head.all(b"authorization")
        if len(authorization) == 1 and authorization[0].startswith(b"Bearer "):
            # A token that was verified before needs no look at its form: 1 us less.
            seen = authorization[0][7:]
            for bearer in bearers:
                known = bearer.recall(seen, now)
                if known is not None:
                    return known
        token = bearer_token(authorization)
        if isinstance(token, Fault):
            return token
        return only.verify(token, now) if only is not None else _choose(bearers, token, now)

    return identify


def _choose(bearers: Sequence[Bearer], token: bytes, now: float) -> Identified | Awaitable[Identified]:
    """Give ``token`` to those whose business it is; a reason that says more than "corrupted" is kept."""
    refusal = CORRUPTED
    issuer = issuer_of(token)
    for bearer in bearers:
        if not bearer.wants(issuer):
            continue
        found = bearer.verify(token, now)
        if not isinstance(found, Fault):
            return found
        if found.kind is not Kind.TOKEN_CORRUPTED:
            refusal = found
    return refusal


def issuer_of(token: bytes) -> str | None:
    """Return whose token it claims to be; nothing is verified, and nothing may be believed for it."""
    if len(token) > _MOST_BYTES or token.count(b".") != 2:
        return None
    payload = token.split(b".")[1]
    try:
        claims = read(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except ValueError:
        return None
    found = claims.get("iss") if claims is not None else None
    return found if isinstance(found, str) else None
