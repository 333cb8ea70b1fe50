"""The client's side of an exchange on this engine: what it may ask of its connection."""

import asyncio
from collections.abc import Iterable
from typing import Final

from limen.engines.direct.hedge_timer import HedgeTimer
from limen.engines.direct.timers import Timer
from limen.http.headers import Headers
from limen.http.replies import Reply
from limen.http.status import status_line
from limen.upstream.connection import Connection
from limen.upstream.live_target import LiveTarget
from limen.upstream.private_connections import PrivateConnections

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Downstream:
    """The connection as its requests see it. ``timer`` is that of the request whose turn it is.

    ``private`` are the connections to services that serve this client alone; None while there are none.

    A native base, and no protocol: so calls cost 260 instructions less each.
    """

    loop: asyncio.AbstractEventLoop
    peer: bytes
    """The address of the connection's other end, or what stands for it."""
    timer: Timer
    private: PrivateConnections | None = None

    def keep_private(self, upstream: str, target: LiveTarget, connection: Connection, *, handshake: bool) -> None:
        """Keep a private ``connection`` to ``target`` of ``upstream`` for the next request of this client."""
        target.pool.release(connection)

    def hedge_timer(self) -> HedgeTimer:
        """Return what waits for a late answer to the request whose turn it is."""
        return HedgeTimer(self.timer.timers)

    def write(self, data: bytes) -> None:
        """Write to the client."""

    def is_stalled(self) -> bool:
        """Tell whether the client reads slower than we write."""
        return False

    def pause_reading(self) -> None:
        """Read nothing more from the client."""

    def resume_reading(self) -> None:
        """Read from the client again."""

    def rest_is_long(self) -> bool:
        """Tell whether more is announced of the request's body than is thrown away after a refusal."""
        return False

    def default_headers(self) -> Headers:
        """Return the header lines that every answer has: the date."""
        return []

    def completed(self, *, close: bool) -> None:
        """Take the connection back, and ``close`` it: nothing may follow, or an answer was left unfinished."""


def reply_bytes(reply: Reply, defaults: Iterable[tuple[bytes, bytes]], *, keep_alive: bool, bodyless: bool) -> bytes:
    """Return a finished answer as bytes; ``bodyless`` answers HEAD."""
    lines = [status_line(reply.status)]
    for name, value in (*defaults, *reply.headers):
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    if not bodyless:
        lines.append(reply.body)
    return b"".join(lines)
