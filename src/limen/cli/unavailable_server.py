"""A server in the supervisor of ``--reload``, which answers every request with 503 while the application does not start.

It runs no code of the application or of uvicorn. A connection serves one request: the head is read, bounded in bytes and
time, and answered, then the connection is closed. ``limen.cli.listener`` accepts, and handles a shortage of descriptors.
"""

import asyncio
import email.utils
import socket
import ssl
import time
from types import TracebackType
from uuid import uuid4

from limen.cli.descriptor_shortage import DescriptorShortage
from limen.cli.listener import Listener
from limen.errors import Fault, Kind
from limen.http.replies import problem, title

# Bytes of a head that are read, and seconds that it may take; a longer head is answered without being read to its end.
HEAD = 32 * 1024
HEAD_TIME = 10.0

# Connections at once; others wait to be accepted.
CONNECTIONS = 64

# Lingering close: seconds for a client to read the answer. Its input is discarded meanwhile, so that it gets no reset.
LINGER = 2.0


class UnavailableServer:
    """An asynchronous context manager: while it is open, every request to ``listener`` is answered with ``detail``."""

    def __init__(self, listener: socket.socket, detail: str, tls: ssl.SSLContext | None = None) -> None:
        """``listener`` must be non-blocking, and stays open. ``detail`` is for the client; with ``tls``, it serves HTTPS."""
        self.connections: set[_Connection] = set()
        self._listener = listener
        self._detail = detail
        self._tls = tls
        self._shortage = DescriptorShortage(time.monotonic)
        self._accepting: Listener | None = None

    async def __aenter__(self) -> "UnavailableServer":
        """Accept."""
        self._accepting = Listener(
            self._listener,
            lambda: _Connection(self),
            self._tls,
            handshake=HEAD_TIME,
            on_shortage=self._shortage.report,
            has_room=self._has_room,
        )
        await self._accepting.start(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Accept nothing more. Begun requests are answered now; connections without one are closed."""
        accepting, self._accepting = self._accepting, None
        assert accepting is not None
        accepting.close()
        for connection in list(self.connections):
            connection.finish()
        await accepting.pending.aclose()
        for connection in list(self.connections):
            connection.finish()  # opened meanwhile

    def answer(self, method: bytes) -> bytes:
        """Return the complete answer to a request with ``method``."""
        reply = problem(Fault(Kind.STARTUP_FAILED, self._detail), uuid4().hex)
        date = email.utils.formatdate(usegmt=True)
        head = f"HTTP/1.1 {reply.status} {title(reply.status)}\r\ndate: {date}\r\n".encode()
        head += b"".join(name + b": " + value + b"\r\n" for name, value in reply.headers)
        head += b"cache-control: no-store\r\nconnection: close\r\n\r\n"
        return head if method == b"HEAD" else head + reply.body

    def lost(self, connection: "_Connection") -> None:
        """Forget ``connection``, whose end makes room."""
        self.connections.discard(connection)
        if self._accepting is not None:
            self._accepting.resume()

    def _has_room(self) -> bool:
        pending = 0 if self._accepting is None else len(self._accepting.pending)
        return len(self.connections) + pending < CONNECTIONS


class _Connection(asyncio.Protocol):
    """One connection, which serves one request."""

    def __init__(self, server: UnavailableServer) -> None:
        self._server = server
        self._head = bytearray()
        self._answered = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        """Show the state."""
        return f"<connection {'is answered' if self._answered else 'reads' if self._head else 'waits'}>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)
        self._timer = asyncio.get_running_loop().call_later(HEAD_TIME, self.finish)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return  # discarded
        self._head += data[: HEAD - len(self._head)]
        if b"\r\n\r\n" in self._head or b"\n\n" in self._head or len(self._head) >= HEAD:
            self._answer()

    def finish(self) -> None:
        """Answer a begun request; close the connection if there is none."""
        if self._answered:
            return
        if self._head:
            self._answer()
        elif self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._server.lost(self)

    def _answer(self) -> None:
        assert self._transport is not None
        assert self._timer is not None
        self._answered = True
        self._transport.write(self._server.answer(bytes(self._head.partition(b" ")[0])))
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(LINGER, self._transport.abort)
