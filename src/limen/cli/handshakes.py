"""Accepted connections that have no protocol yet: with TLS, a handshake comes first, which is 0.5 ms of work.

A server of the event loop does the handshake before it calls the protocol, so that nothing would count connections that never
complete it. Here at most ``MOST_HANDSHAKES`` connections are pending; when another client comes, the oldest connection of
the network that has most of them is closed.

A handshake begins when the client's first record is complete (on Linux), because from then on it is work, and few handshakes
begin in one turn of the loop. So turns are short, of which a client needs nine from its first bytes to its first answer. If
more are ready, networks take turns, and the connections of one network wait for one another: a flood delays itself. A network
is a /24 of IPv4, or the /64 of IPv6 that one customer has as a whole.
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

# Seconds charged for a handshake: twice its real cost, so that turns stay short, of which each client needs many.
HANDSHAKE_COST = 0.001

# Bytes of the header of a TLS record, its type for a handshake, and the most bytes of content (RFC 8446 section 5.1).
_RECORD_HEADER = 5
_HANDSHAKE_TYPE = 22
_LARGEST_RECORD = 16384

_LINUX = sys.platform == "linux"

# TCP_CLOSE and TCP_CLOSE_WAIT (Linux, tcp_states.h): the client has reset or closed its end. The first byte of TCP_INFO.
_CLOSED_STATES = (7, 8)
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None) if _LINUX else None


class _PendingConnection:
    """One pending connection, a job of the loop's scheduler. It is queued when its first record is there."""

    __slots__ = ("_owner", "connection", "context", "deadline", "least", "network", "queued", "timer")

    def __init__(
        self,
        owner: "PendingConnections",
        connection: socket.socket,
        network: bytes,
        context: ssl.SSLContext | None,
        deadline: float,
    ) -> None:
        self._owner = owner
        self.connection = connection
        self.network = network
        self.context = context
        self.deadline = deadline  # in the loop's time
        self.least = 0  # SO_RCVLOWAT: the kernel reports the socket as readable from so many bytes
        self.queued = False
        self.timer: asyncio.TimerHandle | None = None  # until the handshake begins

    def step(self) -> None:
        self._owner.begin(self)

    def __repr__(self) -> str:
        """Show the state."""
        return f"<connection that {'has begun' if self.timer is None else 'asks' if self.queued else 'waits'}>"


class PendingConnections:
    """The connections of one listener that have no protocol yet."""

    def __init__(
        self, protocol_factory: Callable[[], asyncio.Protocol], *, handshake: float, on_done: Callable[[], None]
    ) -> None:
        """``handshake`` bounds each handshake in seconds; ``on_done`` is called when a connection is no longer pending."""
        self._protocol_factory = protocol_factory
        self._handshake = handshake
        self._on_done = on_done
        self._loop = asyncio.get_running_loop()
        self._scheduler = scheduler_of(self._loop)
        self._pending: dict[_PendingConnection, None] = {}  # the oldest first
        self._tasks: set[asyncio.Task[object]] = set()  # handshakes that have begun, cut ones included

    def open(self, connection: socket.socket, address: object, context: ssl.SSLContext | None) -> None:
        """Make the protocol of ``connection``, after a handshake unless ``context`` is None, which is plain TCP.

        ``address`` is that of the client, as ``accept`` returns it.
        """
        if len(self._pending) >= MOST_HANDSHAKES:
            self._make_room()
        network = b"" if context is None else network_of(address)
        pending = _PendingConnection(self, connection, network, context, self._loop.time() + self._handshake)
        self._pending[pending] = None
        if context is None:
            self._begin(pending)
        else:
            pending.timer = self._loop.call_at(pending.deadline, self._cut, pending)
            self._loop.add_reader(connection.fileno(), self._on_readable, pending)

    def begin(self, pending: _PendingConnection) -> None:
        """Begin the handshake of ``pending``: a step of the scheduler."""
        if peer_closed(pending.connection):
            self._cut(pending)
        else:
            self._scheduler.charge(HANDSHAKE_COST)
            self._begin(pending)

    def close(self) -> None:
        """Close all pending connections."""
        for pending in list(self._pending):
            self._cut(pending)

    async def aclose(self) -> None:
        """Close all pending connections; return once their sockets are closed."""
        self.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _make_room(self) -> None:
        [(network, _)] = Counter(pending.network for pending in self._pending).most_common(1)
        self._cut(next(pending for pending in self._pending if pending.network == network))

    def _on_readable(self, pending: _PendingConnection) -> None:
        """Queue ``pending`` if its first record is complete."""
        if peer_closed(pending.connection):
            self._cut(pending)
            return
        if _LINUX:  # elsewhere the socket would stay readable while the record is incomplete
            before, pending.least = pending.least, _record_size_if_incomplete(pending.connection)
            # Readable without more data: because of urgent data, or a kernel short of memory. Begin, or this would repeat.
            if pending.least == before:
                pending.least = 0
            pending.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, pending.least or 1)
            if pending.least:
                return  # until so many bytes are there
        self._loop.remove_reader(pending.connection.fileno())
        self._scheduler.ask(pending, pending.network, light=True)

    def _begin(self, pending: _PendingConnection) -> None:
        if pending.timer is not None:
            pending.timer.cancel()
            pending.timer = None
        # The loop does not accept 0.
        timeout = None if pending.context is None else max(pending.deadline - self._loop.time(), 0.001)
        opening = self._loop.connect_accepted_socket(
            self._protocol_factory, pending.connection, ssl=pending.context, ssl_handshake_timeout=timeout
        )
        task: asyncio.Task[object] = self._loop.create_task(opening)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._on_task_done(task, pending))

    def _cut(self, pending: _PendingConnection) -> None:
        del self._pending[pending]
        if pending.timer is None:
            with contextlib.suppress(OSError):  # closed by the client
                # The handshake reads it as the client's end. Cancelling a task that has not begun would leak the socket.
                pending.connection.shutdown(socket.SHUT_RDWR)
            return
        pending.timer.cancel()
        if pending.queued:
            self._scheduler.leave(pending, pending.network, light=True)
        else:
            self._loop.remove_reader(pending.connection.fileno())
        pending.connection.close()
        self._on_done()

    def _on_task_done(self, task: asyncio.Task[object], pending: _PendingConnection) -> None:
        self._tasks.discard(task)
        self._pending.pop(pending, None)
        if not task.cancelled():
            task.exception()  # a failed handshake is the client's fault, and no line in the log
        self._on_done()

    def __len__(self) -> int:
        """Count the pending connections."""
        return len(self._pending)

    def __repr__(self) -> str:
        """Show how many are pending, and how many of them are queued."""
        return f"<PendingConnections {len(self._pending)}, {sum(pending.queued for pending in self._pending)} queued>"


def _record_size_if_incomplete(connection: socket.socket) -> int:
    """Return how many bytes the first record of TLS needs; 0 if it is complete, or is no valid handshake record."""
    try:
        header = connection.recv(_RECORD_HEADER, socket.MSG_PEEK)
        if not header or header[0] != _HANDSHAKE_TYPE:
            return 0
        if len(header) < _RECORD_HEADER:
            return _RECORD_HEADER
        size = int.from_bytes(header[3:])
        needed = _RECORD_HEADER + size
        received = needed if size > _LARGEST_RECORD else len(connection.recv(needed, socket.MSG_PEEK))
    except OSError:  # reset, which the handshake will find out
        return 0
    return 0 if received == needed else needed


def peer_closed(connection: socket.socket) -> bool:
    """Tell whether the client has closed its end or reset the connection, so that its request would be cancelled anyway."""
    if _TCP_INFO is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] in _CLOSED_STATES
    except OSError:  # a sandbox may refuse
        return False
