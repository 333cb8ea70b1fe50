"""The client's side of an exchange: what it may ask of its connection, and how heads and content are written to it, framed
as RFC 9112 section 6 says.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

from limen.engines.direct.timers import Timer
from limen.http.headers import Headers
from limen.http.replies import Reply
from limen.http.status import status_line

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"


class Client(Protocol):
    """What the protocol shows to its exchange."""

    loop: asyncio.AbstractEventLoop
    peer: bytes
    """The address of the connection's other end, or what stands for it."""

    timer: Timer
    """That of the exchange whose turn it is."""

    def write(self, data: bytes) -> None:
        """Write to the client."""
        ...

    def stalled(self) -> bool:
        """Tell whether the client reads slower than we write."""
        ...

    def hold(self) -> None:
        """Read nothing more from the client."""
        ...

    def go_on(self) -> None:
        """Read from the client again."""
        ...

    def rest_is_long(self) -> bool:
        """Tell whether more is announced of the request's body than is thrown away after a refusal."""
        ...

    def defaults(self) -> list[tuple[bytes, bytes]]:
        """Return the header lines that every answer has: the date."""
        ...

    def completed(self, *, close: bool) -> None:
        """Take the connection back, and ``close`` it: nothing may follow, or an answer was left unfinished."""
        ...


def whole(reply: Reply, defaults: Iterable[tuple[bytes, bytes]], *, keep_alive: bool, bodyless: bool) -> bytes:
    """Return a finished answer as bytes; ``bodyless`` answers HEAD."""
    lines = [status_line(reply.status)]
    for name, value in (*defaults, *reply.headers):
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    if not bodyless:
        lines.append(reply.body)
    return b"".join(lines)


class Framing:
    """How one streamed answer is written. ``head`` is to be called first."""

    __slots__ = ("chunked",)

    def __init__(self) -> None:
        """Nothing is known before the head."""
        self.chunked = False

    def head(
        self,
        status: int,
        headers: Headers,
        defaults: Iterable[tuple[bytes, bytes]],
        *,
        keep_alive: bool,
        bodyless: bool,
        chunks: bool,
    ) -> tuple[bytes, bool]:
        """Return the head, and whether the connection may be kept.

        ``chunks`` says whether the client understands chunked content; without, content ends with the connection.
        """
        lines = [status_line(status)]
        sized = False
        for name, value in defaults:
            lines += (name, b": ", value, b"\r\n")
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
            if name == b"content-length":
                sized = True
        if not sized and not bodyless:
            if chunks:
                self.chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                keep_alive = False
        lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
        return b"".join(lines), keep_alive

    def content(self, data: bytes) -> bytes:
        """Return a piece of content as it is written."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data

    def last(self) -> bytes:
        """Return what ends the content."""
        return _LAST_CHUNK if self.chunked else b""
