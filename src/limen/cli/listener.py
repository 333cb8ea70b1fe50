"""A listener of our own: it accepts as many connections in a turn of the loop as the loop can bear, and no more.

uvloop's own server accepts one connection in each turn of the loop. A client that connects and closes all the time fills
the queue of the kernel, and when turns are long, everybody else waits behind it: 2,048 turns, at worst. So once the server
has accepted one, the others that wait are accepted here, and those whose client has closed its end already are closed
unread: the gateway gives up what a client has asked once it reads that it has left. The server stays, since a connection
that comes alone costs 40 us less there.

Where the loop is asyncio's, everything is accepted here: for a connection that there is no file for, its server writes a
line to the log as often as its backlog is long.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from limen.cli.opening import Opening, left

# Connections that are accepted in one turn of the loop, those of them whose client is still there, and seconds without
# accepting when there is no file for one.
_AT_ONCE = 64
_ALIVE = 8
_PAUSE = 0.1

logger = logging.getLogger("limen.clients")

# Seconds between two lines in the log about connections that were closed unread.
_SAID = 60.0

_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """Accepts from one socket until it is closed. Stands where uvicorn has a server of the loop's."""

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        *,
        handshake: float,
        scarce: Callable[[OSError], None],
        room: Callable[[], bool] | None = None,
    ) -> None:
        """``make`` makes the protocol of a connection; ``context`` may be replaced, and None is plain TCP.

        ``handshake`` is the bound of each, in seconds. ``scarce`` is told when there is no file for a connection. ``room``
        tells whether there is room for one more, None is that there always is; who comes when there is none waits in the
        kernel's queue.
        """
        self.context = context
        self.opening = Opening(make, handshake=handshake, opened=self.look)
        self._listener = listener
        self._make = make
        self._scarce = scarce
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.TimerHandle | None = None  # for a file
        self._full = False  # there was no room
        self._unread = 0  # connections that were closed unread, and when that was said
        self._said = self._loop.time() - _SAID
        self._server: asyncio.Server | None = None
        self._more: asyncio.Handle | None = None
        self._closed = False
        listener.setblocking(False)

    async def start(self, backlog: int) -> None:
        """Accept from now on; ``backlog`` is how many connections the kernel keeps until then."""
        if self.context is None and self._room is None and type(self._loop).__module__.startswith("uvloop"):
            self._server = await self._loop.create_server(self._come, sock=self._listener, backlog=backlog)
        else:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more; what has been accepted goes on."""
        if not self._closed:
            self._closed = True
            if self._more is not None:
                self._more.cancel()
            if self._server is not None:
                self._server.close()
            elif self._waiting is not None:
                self._waiting.cancel()
            elif not self._full:
                self._loop.remove_reader(self._listener.fileno())

    def look(self) -> None:
        """Accept again if there is room: whoever made some calls this."""
        if self._full and not self._closed and (self._room is None or self._room()):
            self._full = False
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _come(self) -> asyncio.Protocol:
        """Make the protocol of a connection that the loop's server has accepted, and see soon whether there are others."""
        if self._more is None:
            self._more = self._loop.call_soon(self._accept_more)
        return self._make()

    def _accept_more(self) -> None:
        self._more = None
        if self._accept():
            self._more = self._loop.call_soon(self._accept_more)

    def _accept(self) -> bool:
        """Accept those who wait, up to a bound; tell whether it was reached."""
        alive = 0
        for number in range(_AT_ONCE):
            if self._room is not None and not self._room():
                self._full = True
                self._loop.remove_reader(self._listener.fileno())
                return False
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return False
            except OSError as error:
                if error.errno not in _NO_FILES:
                    raise
                self._scarce(error)
                if self._server is None:
                    # The socket stays readable: without a pause the loop would do nothing but fail.
                    self._loop.remove_reader(self._listener.fileno())
                    self._waiting = self._loop.call_later(_PAUSE, self._go_on)
                return False
            # Of one that comes alone it is no use to know: what it has asked is answered, or at least logged.
            if (number or self._server is not None) and left(connection):
                connection.close()
                self._closed_unread()
                continue
            connection.setblocking(False)
            self.opening.open(connection, address, self.context)
            alive += 1
            if alive == _ALIVE:
                break
        return True

    def _closed_unread(self) -> None:
        self._unread += 1
        now = self._loop.time()
        if now - self._said >= _SAID:
            logger.warning("closed unread: %d connections whose clients had left while they waited", self._unread)
            self._unread, self._said = 0, now

    def _go_on(self) -> None:
        self._waiting = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def __repr__(self) -> str:
        """Show what has been accepted and has no protocol yet."""
        return f"<Listener {self.opening!r}>"
