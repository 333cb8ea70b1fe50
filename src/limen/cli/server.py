"""The server of one process: uvicorn's, with an end that loses no request. Nothing of options or processes lives here.

uvicorn closes every idle connection the moment it is told to stop, and a request that is on its way over one of them is
lost (RFC 9112 section 9.6). Here a stop goes like this:

1. what the kernel has accepted is taken, then the listener is closed
2. from now on every answer says ``connection: close``
3. a connection is closed once it has been idle for ``LINGER`` seconds: a client that is busy has been told by then
4. after ``grace`` seconds, what still runs is cancelled and cut: a cut answer never looks whole
5. the application's lifespan ends, within ``LIFESPAN`` seconds

The first SIGTERM or SIGINT begins it, the process then ends with status 0; the second ends the process there and then.

With TLS, a changed certificate is served without a stop: what is accepted from then on gets a new context. What was
accepted before keeps the one that it began with.
"""

import asyncio
import contextlib
import dataclasses
import functools
import gc
import logging
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Generator, Iterable
from types import FrameType
from typing import Any

import uvicorn

from limen.cli.listener import Listener
from limen.cli.scarcity import Scarcity
from limen.cli.supervision import CLEANUP, LIFESPAN
from limen.cli.tls import Files, Renewal, warn
from limen.client.limits import ClientLimits
from limen.engines.direct.worker_state import WorkerState
from limen.errors import Fault, Kind

logger = logging.getLogger("limen.serve")

# Seconds of quiet after which an idle connection is closed at a stop. Longer than any round trip, shorter than patience.
LINGER = 1.0

# How many more objects have to be made than freed before the collector looks, and how many such looks before a deeper.
_GC = (100_000, 50, 50)

# Seconds that a client may take for its TLS handshake: as long as for a head, and asyncio's own would be 60.
HANDSHAKE = 10.0

# Ticks of uvicorn's main loop (0.1 s) between two looks at the certificate's files.
_LOOK = 10

# Idle connections that are closed in one tick (0.1 s) while there is no file left.
_ROOM = 32

# Turns of the loop in which connections are still accepted at a stop: so many after the last one, and so many at most.
_TURNS = 3
_MOST_TURNS = 4096

_CLOSE = (b"connection", b"close")
_TICK = 0.05

# SO_LINGER with no time: closing sends RST, not FIN.
_RESET = struct.pack("ii", 1, 0)

_SHUT_DOWN = Fault(Kind.SHUT_DOWN)


class Server(uvicorn.Server):
    """``config.timeout_graceful_shutdown`` is the bound, in seconds; it must be set."""

    def __init__(
        self,
        config: uvicorn.Config,
        tls: Files | None = None,
        *,
        hang_up: bool = False,
        linger: float = LINGER,
        clients: int | None = None,
    ) -> None:
        """``tls`` are the files that ``config`` serves, read again when they change; with ``hang_up``, at SIGHUP too.

        ``linger`` is in seconds, and as this module says. ``clients`` is how many client connections there may be at most
        where the application does not say it.
        """
        super().__init__(config)
        self._linger = linger
        self._clients = clients
        self._scarcity = Scarcity(time.monotonic)
        self._renewal = None if tls is None else Renewal(tls)
        self._hang_up = hang_up
        self._asked = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell the garbage collector that what is there stays."""
        assert sockets is not None
        await super().startup([])  # the application; uvicorn would listen without our bounds
        limits: ClientLimits = self.lifespan.state.get("limen.limits") or ClientLimits()
        if limits.connections is None and self._clients is not None:
            self.lifespan.state["limen.limits"] = dataclasses.replace(limits, connections=self._clients)
        self.servers = [await self._listen(listener) for listener in sockets]
        # Requests leave no cycles behind; looking for them less often is 2-8 % more requests (python -m bench).
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC)

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn does, ten times a second; and see whether the certificate is to be renewed."""
        if self._renewal is not None and (self._asked or (counter % _LOOK == 0 and self._renewal.due())):
            self._asked = False
            found = self._renewal.context()
            if found is not None and not self.should_exit:
                for server in self._ours():
                    server.context = found[0]
                warn(self._renewal.files, found[1])
        if self._scarcity.look():
            self._make_room()
        return await super().on_tick(counter)

    async def _listen(self, listener: socket.socket) -> Any:
        loop, config = asyncio.get_running_loop(), self.config
        make = functools.partial(
            config.http_protocol_class, config=config, server_state=self.server_state, app_state=self.lifespan.state
        )
        if config.ssl is None and os.name == "nt":
            return await loop.create_server(make, sock=listener, backlog=config.backlog)
        own = Listener(listener, make, config.ssl, handshake=HANDSHAKE, scarce=self._scarcity.say)
        await own.start(config.backlog)
        return own

    def _ours(self) -> list[Listener]:
        servers: list[Any] = list(self.servers)
        return [server for server in servers if isinstance(server, Listener)]

    def _make_room(self) -> None:
        """Close idle connections, as there is no file left: whatever needs one next gets it."""
        shared: WorkerState | None = self.lifespan.state.get("limen.guard")
        for _ in range(_ROOM):
            if shared is None or not shared.idle.make_room(self.server_state.connections):
                return

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle the signals; unlike uvicorn, do not raise them again: a stop in good order is status 0."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        if self._renewal is not None and self._hang_up:
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._asked_to_renew)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in good order; at once when asked again."""
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
            os._exit(128 + sig)  # the first process of a container is immune to what nothing handles
        self.should_exit = True

    def _asked_to_renew(self, sig: int, frame: FrameType | None) -> None:
        self._asked = True

    async def shutdown(self, sockets: Iterable[Any] | None = None) -> None:
        """Take the numbered steps of this module."""
        grace = self.config.timeout_graceful_shutdown
        assert grace is not None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        state = self.server_state
        logger.info("stopping: %d connections, at most %d s", len(state.connections), grace)

        # 2 comes first, so that it holds for what 1 accepts.
        state.default_headers = [*state.default_headers, _CLOSE]
        for connection in list(state.connections):
            _announce(connection)

        # 1. One turn of the loop polls, one accepts, one makes the protocol.
        for turn in range(_MOST_TURNS):
            if turn >= _TURNS and not _somebody_waits(sockets or ()):
                break
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()

        # 3. Under TLS there may be handshakes; and a client need not answer our farewell.
        quiet: dict[Any, float] = {}
        shaking = loop.time() + self._linger
        while (now := loop.time()) < deadline and (
            state.connections or state.tasks or (now < shaking and any(each.opening for each in self._ours()))
        ):
            quiet = {each: quiet.get(each, now) for each in state.connections if _idle(each)}
            for connection, since in quiet.items():
                if now - since >= 2 * self._linger and self._renewal is not None and _delivered(connection):
                    connection.transport.abort()
                elif now - since >= self._linger:
                    connection.shutdown()
            await asyncio.sleep(_TICK)
        for server in self._ours():
            server.opening.give_up()

        # 4.
        if state.connections or state.tasks:
            logger.error(
                "cut after %d s: %d connections, %d tasks; --grace gives them longer",
                grace,
                len(state.connections),
                len(state.tasks),
            )
            await self._cut()

        # 5.
        try:
            async with asyncio.timeout(LIFESPAN):
                await self.lifespan.shutdown()
        except TimeoutError:
            # The trace would only show our own timeout.
            logger.error("the application's shutdown took longer than %g s: given up", LIFESPAN)  # noqa: TRY400

    async def _cut(self) -> None:
        state = self.server_state
        for connection in list(state.connections):
            current = getattr(connection, "current", None)
            # An answer that has not begun can still become a whole one: a cancelled request of an application gets 500.
            if current is None or not current.replaceable:
                _abort(connection)
        if tasks := set(state.tasks):
            for task in tasks:
                task.cancel("the time to stop is over")
            await asyncio.wait(tasks, timeout=CLEANUP)
        for connection in list(state.connections):
            _abort(connection)
        await asyncio.sleep(0)  # the protocols learn of it


def _announce(connection: Any) -> None:
    """Make the answer that runs say so, if its head is not out; a WebSocket is told right away (1012)."""
    if not hasattr(connection, "current"):
        connection.shutdown()
        return
    current = connection.current
    if current is not None and current.replaceable:
        current.keep_alive = False


def _somebody_waits(listeners: Iterable[Any]) -> bool:
    """Tell whether the kernel has accepted somebody whom we have not."""
    try:
        poll = select.poll()
    except AttributeError:  # Windows
        return False
    for listener in listeners:
        if listener.fileno() >= 0:
            poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def _idle(connection: Any) -> bool:
    current = getattr(connection, "current", None)
    return hasattr(connection, "current") and (current is None or current.complete)


def _delivered(connection: Any) -> bool:
    """Tell whether all that was written has reached the client's machine: then an end without its consent loses nothing."""
    transport = connection.transport
    try:
        import fcntl  # Unix alone has them
        import termios

        waiting = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, b"\0" * 4)
    except (ImportError, OSError):  # a system that cannot tell, or closed already
        return False
    return transport.get_write_buffer_size() == 0 and not any(waiting)


def _abort(connection: Any) -> None:
    """Reset: an answer whose end is the end of its connection must not look whole."""
    transport = getattr(connection, "transport", None)
    if transport is not None:
        if hasattr(connection, "cut_by"):
            connection.cut_by = _SHUT_DOWN  # what the log says of it
        with contextlib.suppress(OSError):  # closed already
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
