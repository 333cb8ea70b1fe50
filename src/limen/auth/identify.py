"""Who is calling, by any of a route's methods: the headers say for which method a credential is, and that one verifies it.

A credential that was verified before is known at once. Only a method that has to ask somebody else answers later.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from limen.auth.bearer import MISSING, bearer_token, corrupted
from limen.auth.jose.json_object import read_json_object
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.exchange.request import Request

IdentifyResult = Principal | Fault
Identify = Callable[[Request, float], IdentifyResult | Awaitable[IdentifyResult]]
"""Takes a request, and the time in seconds since the epoch."""

UNAVAILABLE = Fault(Kind.IDENTITY_UNAVAILABLE, headers=((b"retry-after", b"5"),))
"""The service that knows the caller does not answer, which says nothing about the credential."""

# Bytes of a token in which its issuer is looked up, before anything is verified: no issuer may have longer ones.
_MOST_PEEKED = 65536


class TokenVerifier(Protocol):
    """Verifies the tokens of one issuer, of at most ``token_size`` bytes."""

    token_size: int

    def recall(self, token: bytes, now: float) -> IdentifyResult | None:
        """Return the cached result for a token that was verified before; None for any other."""
        ...

    def wants(self, issuer: str | None) -> bool:
        """Tell whether to verify a token that claims to be of ``issuer``. Nothing is verified yet."""
        ...

    def verify(self, token: bytes, now: float) -> IdentifyResult | Awaitable[IdentifyResult]:
        """Return whose token it is, at once or later."""
        ...


class KeyVerifier(Protocol):
    """Verifies API keys, which come in a header of their own."""

    header: bytes

    def verify(self, key: bytes, now: float, client: bytes) -> IdentifyResult | Awaitable[IdentifyResult]:
        """Return whose key it is, at once or later; ``client`` is the address that brings it."""
        ...


def identify_by(
    token_verifiers: Sequence[TokenVerifier], key_verifiers: Sequence[KeyVerifier], decoder: Identify | None = None
) -> Identify:
    """Return how a route identifies the caller. A ``decoder`` reads ``Authorization`` itself, in place of all verifiers."""
    if decoder is not None:
        identify_by_token = decoder
    else:
        identify_by_token = _identify_by_token(token_verifiers) if token_verifiers else _without_token_verifiers
    if not key_verifiers:
        return identify_by_token

    def identify(request: Request, now: float) -> IdentifyResult | Awaitable[IdentifyResult]:
        sent = [(one, values) for one in key_verifiers if (values := request.head.all(one.header))]
        if not sent:
            return identify_by_token(request, now)
        # Two credentials may name two callers: an attacker must not choose which of them is believed.
        if len(sent) > 1 or len(sent[0][1]) > 1 or request.head.all(b"authorization"):
            return corrupted("there are several credentials, and only one may say who calls")
        verifier, (key,) = sent[0]
        return verifier.verify(key, now, request.client)

    return identify


def _without_token_verifiers(request: Request, now: float) -> IdentifyResult:
    return corrupted("this route takes no tokens") if request.head.all(b"authorization") else MISSING


def _identify_by_token(token_verifiers: Sequence[TokenVerifier]) -> Identify:
    only = token_verifiers[0] if len(token_verifiers) == 1 else None
    largest = max(verifier.token_size for verifier in token_verifiers)

    def identify(request: Request, now: float) -> IdentifyResult | Awaitable[IdentifyResult]:
        authorization = request.head.all(b"authorization")
        if len(authorization) == 1 and authorization[0].startswith(b"Bearer "):
            # A token that was verified before needs no check of its form, which saves 1 us.
            credentials = authorization[0][7:]
            for verifier in token_verifiers:
                known = verifier.recall(credentials, now)
                if known is not None:
                    return known
        token = bearer_token(authorization)
        if isinstance(token, Fault):
            return token
        if only is not None:
            return only.verify(token, now)
        if len(token) > largest:  # before anything of it is decoded
            return corrupted("it is longer than any method of this route takes")
        return _verify_by_issuer(token_verifiers, token, now)

    return identify


def _verify_by_issuer(
    verifiers: Sequence[TokenVerifier], token: bytes, now: float
) -> IdentifyResult | Awaitable[IdentifyResult]:
    """Let the verifiers of the token's issuer verify it; a fault that says more than "corrupted" is kept."""
    refusal: Fault | None = None
    issuer = claimed_issuer(token)
    for verifier in verifiers:
        if not verifier.wants(issuer):
            continue
        result = verifier.verify(token, now)
        if not isinstance(result, Fault):
            return result
        if refusal is None or result.kind is not Kind.TOKEN_CORRUPTED:
            refusal = result
        elif refusal.kind is Kind.TOKEN_CORRUPTED:
            refusal = corrupted(f"{refusal.cause}; by another method: {result.cause}")
    return corrupted("no method of this route takes tokens of its issuer (iss)") if refusal is None else refusal


def claimed_issuer(token: bytes) -> str | None:
    """Return the issuer that a token claims. Nothing is verified, so nothing may be believed because of it."""
    if len(token) > _MOST_PEEKED or token.count(b".") != 2:
        return None
    payload = token.split(b".")[1]
    try:
        claims = read_json_object(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except ValueError:
        return None
    issuer = claims.get("iss") if claims is not None else None
    return issuer if isinstance(issuer, str) else None
