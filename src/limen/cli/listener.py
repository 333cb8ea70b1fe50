"""A listener of our own, for TLS: it accepts, and bounds the connections that are still in their handshake.

A loop's own server would do both out of sight: a connection becomes known to the gateway once the handshake is over, so
that connections which never shake hands would be counted by nobody. Here at most ``MOST_HANDSHAKES`` do so at once; when
another client comes, the one that has been at it for the longest is closed. A flood of silent connections then leaves an
honest client the time in which as many others come, and it needs two round trips.

Without TLS it serves where the loop is not uvloop's: for a connection that there is no file for, asyncio writes a line to the
log as often as its backlog is long. uvloop closes such a connection; its own server stays, since each costs 28 us less there.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable

# Connections of one worker that may be in their handshake at once.
MOST_HANDSHAKES = 256

# Connections that are accepted in one turn of the loop, and seconds without accepting when there is no file for one.
_AT_ONCE = 32
_PAUSE = 0.1

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
    ) -> None:
        """``make`` makes the protocol of a connection; ``context`` may be replaced, and None is plain TCP.

        ``handshake`` is the bound of each, in seconds. ``scarce`` is told when there is no file for a connection.
        """
        self.context = context
        self.handshakes: dict[asyncio.Task[object], socket.socket] = {}  # the oldest first
        self._tasks: set[asyncio.Task[object]] = set()  # of those, and of the ones that were cut and do not know it yet
        self._listener = listener
        self._make = make
        self._handshake = handshake
        self._scarce = scarce
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.TimerHandle | None = None
        self._closed = False
        listener.setblocking(False)
        self._loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more; handshakes go on."""
        if not self._closed:
            self._closed = True
            if self._waiting is None:
                self._loop.remove_reader(self._listener.fileno())
            else:
                self._waiting.cancel()

    def give_up(self) -> None:
        """End the handshakes."""
        while self.handshakes:
            self._cut_oldest()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_FILES:
                    raise
                # The socket stays readable: without a pause the loop would do nothing but fail.
                self._scarce(error)
                self._loop.remove_reader(self._listener.fileno())
                self._waiting = self._loop.call_later(_PAUSE, self._go_on)
                return
            connection.setblocking(False)
            self._shake(connection)

    def _go_on(self) -> None:
        self._waiting = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _shake(self, connection: socket.socket) -> None:
        if len(self.handshakes) >= MOST_HANDSHAKES:
            self._cut_oldest()
        context = self.context
        handshake = None if context is None else self._handshake
        opening = self._loop.connect_accepted_socket(
            self._make, connection, ssl=context, ssl_handshake_timeout=handshake
        )
        task: asyncio.Task[object] = self._loop.create_task(opening)
        self.handshakes[task] = connection
        self._tasks.add(task)
        task.add_done_callback(self._shaken)

    def _cut_oldest(self) -> None:
        oldest = next(iter(self.handshakes))
        with contextlib.suppress(OSError):  # it has left by itself
            # Read as the client's end. To cancel the task would leak the socket of one that has not begun.
            self.handshakes.pop(oldest).shutdown(socket.SHUT_RDWR)

    def _shaken(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        self.handshakes.pop(task, None)
        if not task.cancelled():
            task.exception()  # a handshake that failed is the client's affair, and no line in the log

    def __repr__(self) -> str:
        """Show how many shake hands."""
        return f"<Listener {len(self.handshakes)} handshakes>"
