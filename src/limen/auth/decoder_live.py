"""Asks the user's own function who calls. Whatever that does, the result is a Fault or a caller, never an exception."""

import inspect
from collections.abc import Callable, Mapping
from typing import cast

from limen.auth.bearer import CORRUPTED, EXPIRED, MISSING, REVOKED
from limen.auth.decoder import TokenDecoder
from limen.auth.identify import IdentifyResult
from limen.auth.revocation import RevocationStore
from limen.errors import Fault
from limen.exchange.request import Request


class DecoderVerifier:
    """Identifies callers as ``config`` says. Nothing is cached: only the function knows for how long it is right."""

    __slots__ = ("_claims", "_decode", "_revocations")

    def __init__(self, config: TokenDecoder, revocations: RevocationStore | None = None) -> None:
        """``revocations`` knows which tokens ended early; None is none."""
        self._decode: Callable[[str | None], object] = config.decode
        self._claims = config.claims
        self._revocations = revocations

    def identify(self, request: Request, now: float) -> IdentifyResult:
        """Return who calls.

        1. refuse several headers, of which the function and others could believe different ones
        2. decode
        3. find out who it is
        4. ask whether the token ended early
        """
        values = request.head.all(b"authorization")
        if len(values) > 1:  # 1
            return CORRUPTED
        try:
            claims = _as_claims(self._decode(values[0].decode("latin-1") if values else None))  # 2
        except Exception as error:
            return _refusal(error, given=bool(values))
        principal = self._claims.caller(claims)  # 3
        if principal is None:
            return _because(CORRUPTED, "what the decoder returned has no id")
        if self._revocations is not None and self._revocations.ended(principal, now):  # 4
            return REVOKED
        return principal


class _NoMapping(Exception):
    """The function has returned something else than claims."""


def _as_claims(decoded: object) -> dict[str, object]:
    if isinstance(decoded, Mapping):
        return dict(cast("Mapping[str, object]", decoded))
    if inspect.iscoroutine(decoded):
        decoded.close()  # it would warn that nobody has awaited it
    raise _NoMapping


def _refusal(error: Exception, *, given: bool) -> Fault:
    # Of an exception, nothing but its class is told: its text may repeat the token.
    returned = isinstance(error, _NoMapping)
    cause = "the decoder returned no mapping" if returned else f"the decoder raised {type(error).__name__}"
    if not given:
        return _because(MISSING, cause)
    expired = any("Expired" in one.__name__ for one in type(error).__mro__)
    return _because(EXPIRED if expired else CORRUPTED, cause)


def _because(fault: Fault, cause: str) -> Fault:
    return Fault(fault.kind, cause=cause, headers=fault.headers)
