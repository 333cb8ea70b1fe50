"""The answer to every request while the application does not start: 503, from a process that serves nothing else.

No line of the application or of uvicorn is run. A connection is one request: its head is read, bounded in bytes and time,
answered, and the connection closed. The supervisor of ``--reload`` accepts only while this is open. What accepts, also where
there is no file for a connection, is ``limen.cli.listener``.
"""

import asyncio
import email.utils
import socket
import ssl
import time
from types import TracebackType
from uuid import uuid4

from limen.cli.listener import Listener
from limen.cli.scarcity import Scarcity
from limen.errors import Fault, Kind
from limen.http.replies import problem, title

# Bytes of a head that are read, and seconds that it may take; one that is longer gets its answer without being read.
HEAD = 32 * 1024
HEAD_TIME = 10.0

# Connections at once; the others wait to be accepted.
CONNECTIONS = 64

# Seconds for a client to read the answer, in which what it still sends is discarded: else it could be told of a reset.
LINGER = 2.0


class Unavailable:
    """An asynchronous context: while it is open, all that comes to ``listener`` is answered with ``detail``."""

    def __init__(self, listener: socket.socket, detail: str, tls: ssl.SSLContext | None = None) -> None:
        """``listener`` stays open and must not block. ``detail`` is for the client; ``tls`` as the listener serves it."""
        self.connections: set[_Connection] = set()
        self._listener = listener
        self._detail = detail
        self._tls = tls
        self._scarcity = Scarcity(time.monotonic)
        self._accepting: Listener | None = None

    async def __aenter__(self) -> "Unavailable":
        """Accept."""
        self._accepting = Listener(
            self._listener,
            lambda: _Connection(self),
            self._tls,
            handshake=HEAD_TIME,
            scarce=self._scarcity.say,
            room=self._room,
        )
        await self._accepting.start(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Accept nothing more. Who has asked is answered now; who has not is closed, and comes again."""
        accepting, self._accepting = self._accepting, None
        assert accepting is not None
        accepting.close()
        for connection in list(self.connections):
            connection.leave()
        await accepting.opening.given_up()
        for connection in list(self.connections):
            connection.leave()  # made in the last moment

    def answer(self, method: bytes) -> bytes:
        """Return the whole answer to a request with ``method``."""
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
            self._accepting.look()

    def _room(self) -> bool:
        opening = 0 if self._accepting is None else len(self._accepting.opening)
        return len(self.connections) + opening < CONNECTIONS


class _Connection(asyncio.Protocol):
    """One connection, thus one request."""

    def __init__(self, server: Unavailable) -> None:
        self._server = server
        self._head = bytearray()
        self._answered = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        """Say how far it is."""
        return f"<connection {'is answered' if self._answered else 'reads' if self._head else 'waits'}>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)
        self._timer = asyncio.get_running_loop().call_later(HEAD_TIME, self.leave)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return  # discarded
        self._head += data[: HEAD - len(self._head)]
        if b"\r\n\r\n" in self._head or b"\n\n" in self._head or len(self._head) >= HEAD:
            self._answer()

    def leave(self) -> None:
        """Answer what was begun; close what was not."""
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
