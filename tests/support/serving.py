"""An ASGI application on a real socket, in the test's own event loop."""

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from types import FrameType
from typing import Any

import httpx2
import uvicorn
from starlette.types import ASGIApp

from engines import PROTOCOLS, Engine
from limen import Gateway
from limen.testing import drained

ENGINE: Engine = "direct"
"""The engine of tests that do not care; fixtures set it for those that run on each."""


_PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that are to speak no TLS: without a context of ours, each of them reads all authorities of the system."""


_PATIENCE = 10.0
"""Seconds after which nothing will be given back any more; far more than it takes."""


class Served:
    """Where it listens, two ways to talk to it, and how to begin its end."""

    def __init__(self, port: int, client: httpx2.AsyncClient, server: uvicorn.Server) -> None:
        self.port = port
        self.client = client
        self._server = server

    @property
    def connections(self) -> list[Any]:
        """The protocols of the clients that are connected now."""
        return list(self._server.server_state.connections)

    def stop(self) -> None:
        """Begin a graceful shutdown, as SIGTERM does."""
        self._server.handle_exit(signal.SIGTERM, None)

    async def raw(self, *parts: bytes) -> bytes:
        """Write ``parts`` on a connection of its own and return everything that comes until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
        try:
            return await reader.read()
        finally:
            writer.close()

    async def get(self, target: bytes, *headers: bytes) -> bytes:
        """Return the whole answer to a GET whose target is written as it is."""
        lines = [b"GET " + target + b" HTTP/1.1", b"Host: gateway", b"Connection: close", *headers, b"", b""]
        return await self.raw(b"\r\n".join(lines))


class _Server(uvicorn.Server):
    """uvicorn's, without its naps of a tenth of a second at each stop: there are hundreds of stops in the tests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = config.app
        self._asked = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # the test runner keeps its own

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._asked.set()

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self.server_state
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await until(lambda: not state.connections and not state.tasks)
                for server in self.servers:
                    await server.wait_closed()
        except TimeoutError:
            for task in state.tasks:
                task.cancel()
        if isinstance(self._app, Gateway):
            # What every test leaves behind, however its clients have left: nothing in use, and nobody in line.
            async with asyncio.timeout(_PATIENCE):
                await drained(self._app)
        await self.lifespan.shutdown()


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    engine: Engine | None = None,
    *,
    plain: bool = False,
    headers: Sequence[tuple[str, str]] = (),
) -> AsyncGenerator[Served]:
    """Serve ``app`` on a free loopback port, on ``engine`` or the one that is set, until the block ends.

    ``plain`` is uvicorn's own protocol: no guard, no engine but asgi.
    ``headers`` are to be in every answer.
    """
    config = uvicorn.Config(
        app,
        http="httptools" if plain else PROTOCOLS[engine or ENGINE],
        log_config=None,
        access_log=False,
        server_header=False,
        headers=list(headers),
        proxy_headers=False,
        timeout_graceful_shutdown=2,
        loop="none",
    )
    server = _Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
                raise RuntimeError("the application did not start; its log says why")
            await asyncio.sleep(0)
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=20, verify=_PLAIN, trust_env=False
        ) as client:
            yield Served(port, client, server)
    finally:
        server.handle_exit(signal.SIGTERM, None)
        await task


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until ``condition`` holds; the test's own time limit bounds it."""
    while not condition():  # noqa: ASYNC110  # it comes true on the other side of a socket: there is no event to await
        await asyncio.sleep(0.001)
