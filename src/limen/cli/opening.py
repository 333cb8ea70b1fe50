"""What lies between accepting a connection and its protocol: with TLS, a handshake, which is 0.5 ms of work.

A loop's server would do the handshake out of sight: a connection becomes known to the gateway once it is over, so that
connections which never shake hands would be counted by nobody. Here at most ``MOST_HANDSHAKES`` are on their way at once;
when another client comes, the oldest of the network that has most of them is closed.

A handshake begins when the client's first record is whole (on Linux), for then it is work, and few begin in a turn of the
loop. So turns are short, of which a client needs nine from its first bytes to its first answer. Where more ask than that,
networks take turns, and those of one network stand in line: whoever floods waits for himself. A network is 256 addresses of
IPv4, or the 64 bits of IPv6 that one customer has as a whole.
"""

import asyncio
import contextlib
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Callable

from limen.fairness.scheduler import scheduler_of
from limen.http.networks import network_of

# Connections of one worker that may be in their handshake at once.
MOST_HANDSHAKES = 256

# Seconds that a handshake is taken to cost: twice what it does, so that turns stay short, of which each client needs many.
HANDSHAKE_COST = 0.001

# The head of a TLS record, the byte that begins one of a handshake, and the most that one may hold (RFC 8446 section 5.1).
_RECORD = 5
_OF_HANDSHAKE = 22
_LARGEST_RECORD = 16384

_LINUX = sys.platform == "linux"

# States of a TCP connection whose client has closed its end, or reset it (Linux, tcp_states.h); the first byte of TCP_INFO.
_LEFT = (7, 8)
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None) if _LINUX else None


class _Pending:
    """One connection on its way. It stands in line with its network when its first record is there."""

    __slots__ = ("_opening", "connection", "context", "least", "network", "queued", "timer", "until")

    def __init__(
        self,
        opening: "Opening",
        connection: socket.socket,
        network: bytes,
        context: ssl.SSLContext | None,
        until: float,
    ) -> None:
        self._opening = opening
        self.connection = connection
        self.network = network
        self.context = context
        self.until = until  # in seconds of the loop
        self.least = 0  # bytes that it is waited for, once there are some
        self.queued = False
        self.timer: asyncio.TimerHandle | None = None  # as long as it has not begun

    def step(self) -> None:
        self._opening.begin(self)

    def __repr__(self) -> str:
        """Say how far it is."""
        return f"<connection that {'has begun' if self.timer is None else 'asks' if self.queued else 'waits'}>"


class Opening:
    """The connections of one listener that have no protocol yet."""

    def __init__(self, make: Callable[[], asyncio.Protocol], *, handshake: float, opened: Callable[[], None]) -> None:
        """``make`` makes a protocol; ``handshake`` bounds each in seconds; ``opened`` is called for each that has ended."""
        self._make = make
        self._handshake = handshake
        self._opened = opened
        self._loop = asyncio.get_running_loop()
        self._scheduler = scheduler_of(self._loop)
        self._pending: dict[_Pending, None] = {}  # the oldest first
        self._tasks: set[asyncio.Task[object]] = set()  # of those that have begun, also if they were cut since

    def open(self, connection: socket.socket, address: object, context: ssl.SSLContext | None) -> None:
        """Make the protocol of ``connection``, after a handshake unless ``context`` is None, which is plain TCP.

        ``address`` is that of the client, as ``accept`` gives it.
        """
        if len(self._pending) >= MOST_HANDSHAKES:
            self._make_room()
        network = b"" if context is None else network_of(address)
        pending = _Pending(self, connection, network, context, self._loop.time() + self._handshake)
        self._pending[pending] = None
        if context is None:
            self._begin(pending)
        else:
            pending.timer = self._loop.call_at(pending.until, self._cut, pending)
            self._loop.add_reader(connection.fileno(), self._asks, pending)

    def begin(self, pending: _Pending) -> None:
        """Begin the handshake of ``pending``, whose turn it is."""
        if left(pending.connection):
            self._cut(pending)
        else:
            self._scheduler.charge(HANDSHAKE_COST)
            self._begin(pending)

    def give_up(self) -> None:
        """End all."""
        for pending in list(self._pending):
            self._cut(pending)

    async def given_up(self) -> None:
        """End all; return once their sockets are closed."""
        self.give_up()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _make_room(self) -> None:
        [(network, _)] = Counter(pending.network for pending in self._pending).most_common(1)
        self._cut(next(pending for pending in self._pending if pending.network == network))

    def _asks(self, pending: _Pending) -> None:
        """See whether the first record of ``pending`` is whole, some of which has come."""
        if left(pending.connection):
            self._cut(pending)
            return
        if _LINUX:  # elsewhere a connection whose message is not whole would be readable all the time
            before, pending.least = pending.least, _least(pending.connection)
            # Told without there being more: by urgent data, or a kernel short of memory. It is not to be told for ever.
            if pending.least == before:
                pending.least = 0
            pending.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, pending.least or 1)
            if pending.least:
                return  # the kernel tells when there is as much
        self._loop.remove_reader(pending.connection.fileno())
        self._scheduler.ask(pending, pending.network, light=True)

    def _begin(self, pending: _Pending) -> None:
        if pending.timer is not None:
            pending.timer.cancel()
            pending.timer = None
        # What is left of its time, and not 0, which is no time to a loop.
        rest = None if pending.context is None else max(pending.until - self._loop.time(), 0.001)
        opening = self._loop.connect_accepted_socket(
            self._make, pending.connection, ssl=pending.context, ssl_handshake_timeout=rest
        )
        task: asyncio.Task[object] = self._loop.create_task(opening)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, pending))

    def _cut(self, pending: _Pending) -> None:
        del self._pending[pending]
        if pending.timer is None:
            with contextlib.suppress(OSError):  # it has left by itself
                # Read as the client's end. To cancel the task would leak the socket of one that has not begun.
                pending.connection.shutdown(socket.SHUT_RDWR)
            return
        pending.timer.cancel()
        if pending.queued:
            self._scheduler.leave(pending, pending.network, light=True)
        else:
            self._loop.remove_reader(pending.connection.fileno())
        pending.connection.close()
        self._opened()

    def _ended(self, task: asyncio.Task[object], pending: _Pending) -> None:
        self._tasks.discard(task)
        self._pending.pop(pending, None)
        if not task.cancelled():
            task.exception()  # a handshake that failed is the client's affair, and no line in the log
        self._opened()

    def __len__(self) -> int:
        """Count them."""
        return len(self._pending)

    def __repr__(self) -> str:
        """Show how many there are, and how many of them wait to be served."""
        return f"<Opening {len(self._pending)} connections, {sum(pending.queued for pending in self._pending)} ask>"


def _least(connection: socket.socket) -> int:
    """Return how many bytes there must be for the first record of TLS to be whole; 0 if it is, or is none that may be."""
    try:
        head = connection.recv(_RECORD, socket.MSG_PEEK)
        if not head or head[0] != _OF_HANDSHAKE:
            return 0
        if len(head) < _RECORD:
            return _RECORD
        size = int.from_bytes(head[3:])
        least = _RECORD + size
        there = least if size > _LARGEST_RECORD else len(connection.recv(least, socket.MSG_PEEK))
    except OSError:  # reset, which the handshake will find out
        return 0
    return 0 if there == least else least


def left(connection: socket.socket) -> bool:
    """Tell whether the client has closed its end, or is gone: what it has asked would be given up once that is read."""
    if _TCP_INFO is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] in _LEFT
    except OSError:  # a sandbox may not tell
        return False
