"""The server of one process: uvicorn's, with an end that loses no request. Nothing of options or processes lives here.

uvicorn closes every idle connection the moment it is told to stop, and a request that is on its way over one of them is
lost (RFC 9112 section 9.6). Here a stop goes like this:

1. what the kernel has accepted is taken, then the listener is closed
2. from now on every answer says ``connection: close``
3. a connection is closed once it has been idle for ``LINGER`` seconds: a client that is busy has been told by then
4. after ``grace`` seconds, what still runs is cancelled and cut: a cut answer never looks whole
5. the application's lifespan ends, within ``LIFESPAN`` seconds

The first SIGTERM or SIGINT begins it, the process then ends with status 0; the second ends the process there and then.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import struct
from collections.abc import Generator, Iterable
from types import FrameType
from typing import Any

import uvicorn

logger = logging.getLogger("limen.serve")

# Seconds of quiet after which an idle connection is closed at a stop. Longer than any round trip, shorter than patience.
LINGER = 1.0

# Seconds that requests cut at the bound get to clean up, and those that the end of the lifespan gets.
CLEANUP = 1.0
LIFESPAN = 3.0

# The exit status of an application that does not start, as uvicorn has it.
STARTUP_FAILURE = 3

# How many more objects have to be made than freed before the collector looks, and how many such looks before a deeper.
_GC = (100_000, 50, 50)

_CLOSE = (b"connection", b"close")
_TICK = 0.05

# SO_LINGER with no time: closing sends RST, not FIN.
_RESET = struct.pack("ii", 1, 0)


class Server(uvicorn.Server):
    """``config.timeout_graceful_shutdown`` is the bound, in seconds; it must be set."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell the garbage collector that what is there stays."""
        await super().startup(sockets)
        # Requests leave no cycles behind; looking for them less often is 2-8 % more requests (python -m bench).
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle the two signals; unlike uvicorn, do not raise them again: a stop in good order is status 0."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
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
        for _ in range(3):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()

        # 3.
        quiet: dict[Any, float] = {}
        while (state.connections or state.tasks) and (now := loop.time()) < deadline:
            quiet = {each: quiet.get(each, now) for each in state.connections if _idle(each)}
            for connection, since in quiet.items():
                if now - since >= LINGER:
                    connection.shutdown()
            await asyncio.sleep(_TICK)

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
            cycle = getattr(connection, "cycle", None)
            # An answer that has not begun can still become a whole one: uvicorn answers a cancelled request with 500.
            if cycle is None or getattr(cycle, "response_started", True):
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
    if not hasattr(connection, "cycle"):
        connection.shutdown()
        return
    cycle = connection.cycle
    if cycle is not None and not getattr(cycle, "response_started", True):
        cycle.keep_alive = False


def _idle(connection: Any) -> bool:
    cycle = getattr(connection, "cycle", None)
    return hasattr(connection, "cycle") and (cycle is None or cycle.response_complete)


def _abort(connection: Any) -> None:
    """Reset: an answer whose end is the end of its connection must not look whole."""
    transport = getattr(connection, "transport", None)
    if transport is not None:
        with contextlib.suppress(OSError):  # closed already
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
