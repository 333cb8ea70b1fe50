"""What becomes of the body of a request that is refused, under any ASGI server; and which one the server may have lost."""

import asyncio
import contextlib
from typing import Any, Final

from starlette.types import Receive, Scope

from limen.errors import Fault, Kind
from limen.http.headers import Headers

# Seconds in which a client whose body is refused may go on sending it, where no ``ClientLimits(linger=)`` says otherwise.
_LINGER = 2.0

# Bytes of a body that are thrown away after a refusal, at most.
MOST_DISCARDED: Final = 1024 * 1024

_OF_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))


def framed(scope: Scope) -> bool:
    """Tell whether a request may have a body; before HTTP/2 its head says so."""
    return not scope["http_version"].startswith("1") or any(name in _OF_FRAMING for name, _ in scope["headers"])


def may_be_lost(scope: Scope) -> bool:
    """Tell whether the server may have emptied the body of a request that offers an upgrade, as Java's client does with h2c.

    uvicorn's httptools protocol takes what follows such a head for the other protocol's: the application is told of an empty
    body, and what comes later is parsed as the next request. ``limen.engines.direct`` reads on, and so do most other servers.
    """
    if scope["type"] != "http" or "limen.guard" in (scope.get("state") or {}):
        return False
    if scope.get("http_version") != "1.1" or not framed(scope):
        return False
    headers = scope["headers"]
    if not any(name == b"connection" and b"upgrade" in value.lower() for name, value in headers):
        return False
    return any(name == b"upgrade" for name, _ in headers) and (b"content-length", b"0") not in headers


LOST: Final = Fault(
    Kind.NOT_IMPLEMENTED,
    "This server does not read the body of a request that offers an upgrade; send it without the offer.",
    headers=((b"connection", b"close"),),  # or what comes of the body would be read as a request
)


class Refusing:
    """What becomes of the body of one request that is refused: it is thrown away within bounds, and then the connection ends.

    A server that closes while bytes are unread resets the connection, and the client may never see why; one that reads on for
    as long as the client sends can be kept busy for nothing (RFC 9112, sections 9.3 and 9.6). Where ``limen.engines.direct``
    has the connection, that bounds what comes after an answer, and a body that may be short need not end it.
    """

    __slots__ = ("_expects", "_linger", "closes")

    def __init__(self, scope: Scope, seen: int, *, whole: bool) -> None:
        """``seen`` bytes have come; ``whole`` says that these were all."""
        headers = scope["headers"]
        state: Any = scope.get("state") or {}
        limits: Any = state.get("limen.limits")
        self._linger: float = _LINGER if limits is None else limits.linger
        self._expects = not seen and any(name == b"expect" for name, _ in headers)
        length = next((value for name, value in headers if name == b"content-length"), b"")
        if whole or not scope["http_version"].startswith("1") or not framed(scope):
            self.closes = False
        elif "limen.guard" not in state:
            self.closes = True
        else:
            last = any(name == b"connection" and b"close" in value.lower() for name, value in headers)
            long = length.isdigit() and int(length) - seen > MOST_DISCARDED
            self.closes = last or long or scope["http_version"] == "1.0"

    def lines(self, lines: Headers) -> Headers:
        """Return the header lines of the refusal, which say that the connection ends where it does."""
        if not self.closes or any(name == b"connection" for name, _ in lines):
            return lines
        return [*lines, (b"connection", b"close")]

    async def drain(self, receive: Receive) -> None:
        """Throw away what still comes; the answer is out, but for its end."""
        if self._expects:
            return  # it waits for 100 (Continue), and sends nothing any more
        left = MOST_DISCARDED
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._linger):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return
