"""Answers to clients of HTTP/1.0, which know no chunks (RFC 9112 section 6.1).

Content without a length ends with its connection. uvicorn's httptools protocol frames every answer for HTTP/1.1; here its
cycle, which writes one answer, is told not to. It closes such a connection in any case. Other servers frame by themselves.
This module imports no server: it goes by what a cycle has.
"""

import contextlib
import socket
import struct
from typing import Any

from starlette.types import Message, Send

# SO_LINGER with no time: closing sends RST, not FIN.
_RESET = struct.pack("ii", 1, 0)


class Unchunked:
    """``send`` of one request of HTTP/1.0, for the application; ``ended`` is to be called when that has ended."""

    __slots__ = ("_cycle", "_open", "_send")

    def __init__(self, cycle: Any, send: Send) -> None:
        """``cycle`` is uvicorn's, whose ``send`` this one stands before."""
        self._cycle = cycle
        self._send = send
        self._open = False  # content comes whose end is that of the connection

    async def send(self, message: Message) -> None:
        """Send ``message``, framed as the client understands it."""
        kind: str = message["type"]
        last = False
        if kind == "http.response.start":
            lines: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            lines = [line for line in lines if bytes(line[0]).lower() != b"transfer-encoding"]
            message = {**message, "headers": lines}
            if not any(bytes(name).lower() == b"content-length" for name, _ in lines):
                self._cycle.chunked_encoding = False
                self._open = True
        elif kind == "http.response.body" and self._open:
            self._cycle.expected_content_length = len(message.get("body", b""))  # it insists on what was announced
            last = not message.get("more_body", False)
        await self._send(message)
        if last:
            self._open = False

    def ended(self) -> None:
        """Take note that the application has ended: content that is not whole must not look so."""
        if self._open:
            reset(self._cycle.transport)


def unchunked(scope: Any, send: Send) -> Unchunked | None:
    """Return what stands before ``send`` for the request of ``scope``; None where the server frames as it should."""
    cycle: Any = getattr(send, "__self__", None)
    if scope.get("http_version") != "1.0" or not hasattr(cycle, "chunked_encoding"):
        return None
    return Unchunked(cycle, send)


def reset(transport: Any) -> None:
    """End a connection with a reset, so that an answer that ends with it does not look whole."""
    here: Any = transport.get_extra_info("socket")
    if here is not None:
        with contextlib.suppress(OSError):  # closed already
            here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
