"""The listener: it accepts a bounded number of connections in each turn of the loop.

uvloop's server accepts one connection in each turn of the loop. A client that connects and closes all the time fills the
accept queue of the kernel, and when turns are long, all other clients wait behind it: 2,048 turns at worst. So once the
server has accepted one connection, the others that wait are accepted here. If the client has closed its end already, the
connection is closed unread: its request would be cancelled anyway. The server is kept, since a single connection costs
40 us less there.

On asyncio's loop, everything is accepted here: for each connection without a file descriptor, its server would write as many
lines to the log as its backlog is long.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from limen.cli.handshakes import PendingConnections, peer_closed

# Connections that are accepted in one turn of the loop, those of them whose client has not closed, and seconds without
# accepting when there is no file descriptor for one.
_AT_ONCE = 64
_ALIVE = 8
_PAUSE = 0.1

logger = logging.getLogger("limen.clients")

# Seconds between two lines in the log about connections that were closed unread.
_REPORT_INTERVAL = 60.0

_NO_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """Accepts from one socket until it is closed. It replaces the ``asyncio.Server`` of uvicorn."""

    def __init__(
        self,
        listener: socket.socket,
        protocol_factory: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        *,
        handshake: float,
        on_shortage: Callable[[OSError], None],
        has_room: Callable[[], bool] | None = None,
    ) -> None:
        """``context`` may be replaced later; None is plain TCP. ``handshake`` bounds each handshake, in seconds.

        ``on_shortage`` is called when there is no file descriptor for a connection. ``has_room`` tells whether one more may
        be accepted, None is always; until then clients wait in the kernel's queue.
        """
        self.context = context
        self.pending = PendingConnections(protocol_factory, handshake=handshake, on_done=self.resume)
        self._listener = listener
        self._protocol_factory = protocol_factory
        self._on_shortage = on_shortage
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None  # for lack of a file descriptor
        self._full = False  # there was no room
        self._closed_unread = 0  # since the last report
        self._reported = self._loop.time() - _REPORT_INTERVAL
        self._server: asyncio.Server | None = None
        self._more: asyncio.Handle | None = None
        self._closed = False
        listener.setblocking(False)

    async def start(self, backlog: int) -> None:
        """Accept from now on; ``backlog`` is the length of the kernel's accept queue."""
        if self.context is None and self._has_room is None and type(self._loop).__module__.startswith("uvloop"):
            self._server = await self._loop.create_server(self._make_protocol, sock=self._listener, backlog=backlog)
        else:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more; accepted connections go on."""
        if not self._closed:
            self._closed = True
            if self._more is not None:
                self._more.cancel()
            if self._server is not None:
                self._server.close()
            elif self._pause is not None:
                self._pause.cancel()
            elif not self._full:
                self._loop.remove_reader(self._listener.fileno())

    def resume(self) -> None:
        """Accept again if there is room; to be called when a connection has ended."""
        if self._full and not self._closed and (self._has_room is None or self._has_room()):
            self._full = False
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _make_protocol(self) -> asyncio.Protocol:
        """Make the protocol of a connection that the loop's server has accepted, and accept those behind it soon."""
        if self._more is None:
            self._more = self._loop.call_soon(self._accept_more)
        return self._protocol_factory()

    def _accept_more(self) -> None:
        self._more = None
        if self._accept():
            self._more = self._loop.call_soon(self._accept_more)

    def _accept(self) -> bool:
        """Accept waiting connections, up to a bound; tell whether the bound was reached."""
        alive = 0
        for number in range(_AT_ONCE):
            if self._has_room is not None and not self._has_room():
                self._full = True
                self._loop.remove_reader(self._listener.fileno())
                return False
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return False
            except OSError as error:
                if error.errno not in _NO_RESOURCES:
                    raise
                self._on_shortage(error)
                if self._server is None:
                    # The socket stays readable: without a pause the loop would do nothing else.
                    self._loop.remove_reader(self._listener.fileno())
                    self._pause = self._loop.call_later(_PAUSE, self._end_pause)
                return False
            # A single connection is not checked: its request is answered, or at least logged.
            if (number or self._server is not None) and peer_closed(connection):
                connection.close()
                self._count_closed_unread()
                continue
            connection.setblocking(False)
            self.pending.open(connection, address, self.context)
            alive += 1
            if alive == _ALIVE:
                break
        return True

    def _count_closed_unread(self) -> None:
        self._closed_unread += 1
        now = self._loop.time()
        if now - self._reported >= _REPORT_INTERVAL:
            logger.warning(
                "closed unread: %d connections whose clients had left while they waited", self._closed_unread
            )
            self._closed_unread, self._reported = 0, now

    def _end_pause(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def __repr__(self) -> str:
        """Show the connections that have no protocol yet."""
        return f"<Listener {self.pending!r}>"
