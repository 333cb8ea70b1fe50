"""The server of one process: uvicorn's, with a graceful stop that loses no request. No options or processes here.

uvicorn closes every idle connection as soon as it stops, and a request that is on its way over one of them is lost (RFC 9112
section 9.6). Here a stop has these steps:

0. for ``drain_wait`` seconds, answer 503 at the readiness endpoint, and serve everything else as before
1. accept the connections in the kernel's queue, then close the listener
2. from now on, every answer has ``connection: close``
3. close a connection once it has been idle for ``LINGER`` seconds: by then, an active client has got such an answer
4. after ``grace`` seconds, cancel and reset what still runs: a cut answer never looks complete
5. shut the application's lifespan down, within ``LIFESPAN`` seconds

The first SIGTERM or SIGINT begins the stop, and the process ends with status 0. The next one ends step 0, if it still waits;
the one after that, or the second one without a wait, ends the process at once.

With TLS, a changed certificate is served without a restart: new connections get a new context, and open ones keep theirs.
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

from limen.cli.descriptor_shortage import DescriptorShortage
from limen.cli.drain import DrainWait
from limen.cli.listener import Listener
from limen.cli.tls import CertificateReloader, TlsFiles, warn
from limen.cli.worker_protocol import CLEANUP, LIFESPAN
from limen.client.limits import ClientLimits
from limen.engines.direct.worker_state import WorkerState
from limen.errors import Fault, Kind
from limen.runtime.readiness import Readiness

logger = logging.getLogger("limen.serve")

# Seconds of idleness after which a connection is closed at a stop: longer than a round trip, short enough to wait for.
LINGER = 1.0

# The thresholds of the garbage collector's generations (``gc.set_threshold``).
_GC_THRESHOLDS = (100_000, 50, 50)

# Seconds that a client may take for its TLS handshake: as long as for a head. asyncio's default is 60.
HANDSHAKE = 10.0

# Ticks of uvicorn's main loop (0.1 s) between two checks of the certificate's files.
_CHECK_TICKS = 10

# Idle connections that are closed in one tick (0.1 s) while there is no file descriptor left.
_CLOSED_PER_TICK = 32

# Turns of the loop in which connections are still accepted at a stop: so many after the last one, and so many at most.
_TURNS = 3
_MOST_TURNS = 4096

_CONNECTION_CLOSE = (b"connection", b"close")
_STOP_TICK = 0.05

# SO_LINGER with a time of 0: closing sends RST, not FIN.
_RESET = struct.pack("ii", 1, 0)

_SHUT_DOWN = Fault(Kind.SHUT_DOWN)


class Server(uvicorn.Server):
    """uvicorn's server with the stop of this module. ``config.timeout_graceful_shutdown`` must be set, in seconds."""

    def __init__(
        self,
        config: uvicorn.Config,
        tls: TlsFiles | None = None,
        *,
        hang_up: bool = False,
        linger: float = LINGER,
        clients: int | None = None,
        drain_wait: float | None = None,
    ) -> None:
        """``tls`` are the files that ``config`` serves, loaded again when they change; with ``hang_up``, at SIGHUP too.

        ``linger`` is in seconds, see step 3. ``clients`` is the most client connections if the application sets no limit.
        ``drain_wait`` is in seconds, see step 0. None is for one of several that share a listener: who stops them all calls
        ``drain``, and one that is only replaced stays ready.
        """
        super().__init__(config)
        self._linger = linger
        self._clients = clients
        self._shortage = DescriptorShortage(time.monotonic)
        self._certificates = None if tls is None else CertificateReloader(tls)
        self._hang_up = hang_up
        self._reload_requested = False
        self._drain_wait = None if drain_wait is None else DrainWait(drain_wait, time.monotonic)
        self._drains = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then freeze what is there for the garbage collector."""
        assert sockets is not None
        await super().startup([])  # without sockets: uvicorn would listen without our bounds
        limits: ClientLimits = self.lifespan.state.get("limen.limits") or ClientLimits()
        if limits.connections is None and self._clients is not None:
            self.lifespan.state["limen.limits"] = dataclasses.replace(limits, connections=self._clients)
        self.servers = [await self._listen(listener) for listener in sockets]
        # Requests leave no cycles behind; collecting less often is 2-8 % more requests (python -m bench).
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)

    async def on_tick(self, counter: int) -> bool:
        """Do uvicorn's work, ten times a second; then reload a changed certificate, and check for descriptors."""
        certificates = self._certificates
        if certificates is not None and (
            self._reload_requested or (counter % _CHECK_TICKS == 0 and certificates.due())
        ):
            self._reload_requested = False
            loaded = certificates.load()
            if loaded is not None and not self.should_exit:
                for server in self._listeners():
                    server.context = loaded[0]
                warn(certificates.files, loaded[1])
        if self._shortage.check():
            self._make_room()
        waiting = self._drain_wait
        if waiting is not None and waiting.begun:
            self.drain()
            self.should_exit = self.should_exit or waiting.over
        return await super().on_tick(counter)

    async def _listen(self, listener: socket.socket) -> Any:
        loop, config = asyncio.get_running_loop(), self.config
        make = functools.partial(
            config.http_protocol_class, config=config, server_state=self.server_state, app_state=self.lifespan.state
        )
        if config.ssl is None and os.name == "nt":
            return await loop.create_server(make, sock=listener, backlog=config.backlog)
        server = Listener(listener, make, config.ssl, handshake=HANDSHAKE, on_shortage=self._shortage.report)
        await server.start(config.backlog)
        return server

    def _listeners(self) -> list[Listener]:
        servers: list[Any] = list(self.servers)
        return [server for server in servers if isinstance(server, Listener)]

    def _make_room(self) -> None:
        """Close idle connections, so that descriptors are free for whatever needs one next."""
        shared: WorkerState | None = self.lifespan.state.get("limen.guard")
        for _ in range(_CLOSED_PER_TICK):
            if shared is None or not shared.idle.make_room(self.server_state.connections):
                return

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle the signals; unlike uvicorn, do not raise them again: a graceful stop has status 0."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        if self._certificates is not None and self._hang_up:
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._request_reload)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully, after step 0; end at once if the stop has begun."""
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
            os._exit(128 + sig)  # the first process of a container is not ended by the default action
        waiting = self._drain_wait
        self.should_exit = waiting is None or not self.started or not waiting.begin()

    def drain(self) -> None:
        """0. Say at the readiness endpoint that this server is about to stop."""
        if self._drains:
            return
        self._drains = True
        readiness: Readiness | None = self.lifespan.state.get("limen.readiness")
        if readiness is not None:
            readiness.drain()
        waiting = self._drain_wait
        if waiting is not None and waiting.begun:
            told = "not ready" if readiness is not None else "no gateway that could say so"
            logger.info("draining for %g s: %s; all is served, and the next signal ends this", waiting.seconds, told)

    def _request_reload(self, sig: int, frame: FrameType | None) -> None:
        self._reload_requested = True

    async def shutdown(self, sockets: Iterable[Any] | None = None) -> None:
        """Stop, in the numbered steps of this module."""
        grace = self.config.timeout_graceful_shutdown
        assert grace is not None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        state = self.server_state
        if self._drain_wait is not None:
            self.drain()
        logger.info("stopping: %d connections, at most %d s", len(state.connections), grace)

        # 2 comes first, so that it holds for the connections that 1 accepts.
        state.default_headers = [*state.default_headers, _CONNECTION_CLOSE]
        for connection in list(state.connections):
            _announce_close(connection)

        # 1. One turn of the loop polls, one accepts, one makes the protocol.
        for turn in range(_MOST_TURNS):
            if turn >= _TURNS and not _connections_wait(sockets or ()):
                break
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()

        # 3. Under TLS there may be handshakes; and a client need not answer our close_notify.
        idle_since: dict[Any, float] = {}
        handshakes_until = loop.time() + self._linger
        while (now := loop.time()) < deadline and (
            state.connections
            or state.tasks
            or (now < handshakes_until and any(each.pending for each in self._listeners()))
        ):
            idle_since = {each: idle_since.get(each, now) for each in state.connections if _idle(each)}
            for connection, since in idle_since.items():
                if now - since >= 2 * self._linger and self._certificates is not None and _delivered(connection):
                    connection.transport.abort()
                elif now - since >= self._linger:
                    connection.shutdown()
            await asyncio.sleep(_STOP_TICK)
        for server in self._listeners():
            server.pending.close()

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
            # The traceback would only show our own timeout.
            logger.error("the application's shutdown took longer than %g s: given up", LIFESPAN)  # noqa: TRY400 - no trace of ours

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
        await asyncio.sleep(0)  # for ``connection_lost``


def _announce_close(connection: Any) -> None:
    """Make the answer that runs say so, if its head is not out; a WebSocket is told right away (1012)."""
    if not hasattr(connection, "current"):
        connection.shutdown()
        return
    current = connection.current
    if current is not None and current.replaceable:
        current.keep_alive = False


def _connections_wait(listeners: Iterable[Any]) -> bool:
    """Tell whether there are connections in the kernel's accept queue."""
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
    """Tell whether all that was written has reached the client's machine: then an abort loses nothing."""
    transport = connection.transport
    try:
        import fcntl  # Unix alone has them
        import termios

        unsent = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, b"\0" * 4)
    except (ImportError, OSError):  # not supported, or closed already
        return False
    return transport.get_write_buffer_size() == 0 and not any(unsent)


def _abort(connection: Any) -> None:
    """Reset the connection: a close-delimited answer must not look complete."""
    transport = getattr(connection, "transport", None)
    if transport is not None:
        if hasattr(connection, "cut_by"):
            connection.cut_by = _SHUT_DOWN  # for the access log
        with contextlib.suppress(OSError):  # closed already
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
