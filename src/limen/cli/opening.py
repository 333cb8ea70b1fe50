"""What lies between accepting a connection and its protocol: with TLS, a handshake, which is 0.5 ms of work.

A loop's server would do the handshake out of sight: a connection becomes known to the gateway once it is over, so that
connections which never shake hands would be counted by nobody. Here at most ``MOST_HANDSHAKES`` are on their way at once;
when another client comes, the one that has been at it for the longest is closed. A flood of silent connections then leaves
an honest client the time in which as many others come, and it needs two round trips.

A handshake begins when the client's first bytes are there, a few in each turn of the loop. Where more ask than that, the one
that has asked last goes first: whoever is in a hurry is served, and who only asks and asks stands in line with itself. Served
in the order in which they came, all would wait for as long as the line is. Every fourth turn is that of the one that has
waited for the longest.
"""

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import Callable

from limen.upstream.turns import turns_of

# Connections of one worker that may be in their handshake at once.
MOST_HANDSHAKES = 256

# Seconds that a handshake is taken to cost: the key exchange, and the signature with the certificate's key.
HANDSHAKE_COST = 0.0005

_OLDEST_EVERY = 4

# States of a TCP connection whose client has closed its end, or reset it (Linux, tcp_states.h); the first byte of TCP_INFO.
_LEFT = (7, 8)
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None


class _Comer:
    """One connection on its way."""

    __slots__ = ("connection", "context", "timer", "until")

    def __init__(self, connection: socket.socket, context: ssl.SSLContext | None, until: float) -> None:
        self.connection = connection
        self.context = context
        self.until = until  # in seconds of the loop
        self.timer: asyncio.TimerHandle | None = None  # as long as it has not begun

    def __repr__(self) -> str:
        """Say whether it has begun."""
        return f"<connection that {'has begun' if self.timer is None else 'waits'}>"


class Opening:
    """The connections of one listener that have no protocol yet."""

    def __init__(self, make: Callable[[], asyncio.Protocol], *, handshake: float, opened: Callable[[], None]) -> None:
        """``make`` makes a protocol; ``handshake`` bounds each in seconds; ``opened`` is called for each that has ended."""
        self.queued = False
        self._make = make
        self._handshake = handshake
        self._opened = opened
        self._loop = asyncio.get_running_loop()
        self._turns = turns_of(self._loop)
        self._comers: dict[_Comer, None] = {}  # the oldest first
        self._asking: dict[_Comer, None] = {}  # of them, those that have sent something and have not begun
        self._begun = 0
        self._tasks: set[asyncio.Task[object]] = set()  # of those that have begun, also if they were cut since

    def open(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        """Make the protocol of ``connection``, after a handshake unless ``context`` is None, which is plain TCP."""
        if len(self._comers) >= MOST_HANDSHAKES:
            self._cut(next(iter(self._comers)))
        comer = _Comer(connection, context, self._loop.time() + self._handshake)
        self._comers[comer] = None
        if context is None:
            self._begin(comer)
        else:
            comer.timer = self._loop.call_at(comer.until, self._cut, comer)
            self._loop.add_reader(connection.fileno(), self._asks, comer)

    def step(self) -> None:
        """Begin one handshake; asked for by one that has sent something."""
        if not self._asking:
            return
        self._begun += 1
        comer = next(iter(self._asking)) if self._begun % _OLDEST_EVERY == 0 else next(reversed(self._asking))
        if left(comer.connection):
            self._cut(comer)
        else:
            self._turns.spend(HANDSHAKE_COST)
            self._begin(comer)
        if self._asking:
            self._turns.ask(self)

    def give_up(self) -> None:
        """End all."""
        for comer in list(self._comers):
            self._cut(comer)

    async def given_up(self) -> None:
        """End all; return once their sockets are closed."""
        self.give_up()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _asks(self, comer: _Comer) -> None:
        self._loop.remove_reader(comer.connection.fileno())
        self._asking[comer] = None
        self._turns.ask(self)

    def _begin(self, comer: _Comer) -> None:
        self._asking.pop(comer, None)
        if comer.timer is not None:
            comer.timer.cancel()
            comer.timer = None
        # What is left of its time, and not 0, which is no time to a loop.
        rest = None if comer.context is None else max(comer.until - self._loop.time(), 0.001)
        opening = self._loop.connect_accepted_socket(
            self._make, comer.connection, ssl=comer.context, ssl_handshake_timeout=rest
        )
        task: asyncio.Task[object] = self._loop.create_task(opening)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, comer))

    def _cut(self, comer: _Comer) -> None:
        del self._comers[comer]
        if comer.timer is None:
            with contextlib.suppress(OSError):  # it has left by itself
                # Read as the client's end. To cancel the task would leak the socket of one that has not begun.
                comer.connection.shutdown(socket.SHUT_RDWR)
            return
        comer.timer.cancel()
        if comer in self._asking:
            del self._asking[comer]
        else:
            self._loop.remove_reader(comer.connection.fileno())
        comer.connection.close()
        self._opened()

    def _ended(self, task: asyncio.Task[object], comer: _Comer) -> None:
        self._tasks.discard(task)
        self._comers.pop(comer, None)
        if not task.cancelled():
            task.exception()  # a handshake that failed is the client's affair, and no line in the log
        self._opened()

    def __len__(self) -> int:
        """Count them."""
        return len(self._comers)

    def __repr__(self) -> str:
        """Show how many there are, and how many of them wait to be served."""
        return f"<Opening {len(self._comers)} connections, {len(self._asking)} ask>"


def left(connection: socket.socket) -> bool:
    """Tell whether the client has closed its end, or is gone: what it has asked would be given up once that is read."""
    if _TCP_INFO is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] in _LEFT
    except OSError:  # a sandbox may not tell
        return False
