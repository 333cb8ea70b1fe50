"""The ``Authorization`` header, read strictly: one header, scheme Bearer, one space or several, token68.

RFC 6750 section 2.1 writes one space, and leaves to HTTP how credentials are written: there it is one or more (RFC 9110
section 11.4). A tab is not a space.
"""

import re

from limen.errors import Fault, Kind

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")

MISSING = Fault(Kind.TOKEN_MISSING, headers=((b"www-authenticate", b"Bearer"),))
EXPIRED = Fault(Kind.TOKEN_EXPIRED, headers=((b"www-authenticate", b'Bearer error="invalid_token"'),))
CORRUPTED = Fault(Kind.TOKEN_CORRUPTED, headers=((b"www-authenticate", b'Bearer error="invalid_token"'),))
REVOKED = Fault(Kind.TOKEN_REVOKED, headers=((b"www-authenticate", b'Bearer error="invalid_token"'),))


def corrupted(cause: str) -> Fault:
    """Return the fault of a token that is not accepted; ``cause`` is for the log, and holds nothing of the token."""
    return Fault(Kind.TOKEN_CORRUPTED, cause=cause, headers=CORRUPTED.headers)


def bearer_token(values: list[bytes]) -> bytes | Fault:
    """Return the token among the values of ``Authorization``, or the fault of having none."""
    if not values:
        return MISSING
    if len(values) > 1:
        return corrupted("there are several Authorization headers")
    match = _BEARER.fullmatch(values[0])
    return corrupted("Authorization is not the word Bearer and one token") if match is None else match[1]
