"""An ASGI application on a real socket, in the test's own event loop."""

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from types import FrameType
from typing import Any

import httpx2
import uvicorn
from starlette.types import ASGIApp

_PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that are to speak no TLS: without a context of ours, each of them reads all authorities of the system."""


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
    """uvicorn's, without its naps of a tenth of a second at each stop: a test stops one, and there are hundreds of tests."""

    def __init__(self, config: uvicorn.Config, drained: Callable[[], Awaitable[None]] | None) -> None:
        super().__init__(config)
        self._drained = drained
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
        if self._drained is not None:
            await self._drained()
        await self.lifespan.shutdown()


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    http: str = "auto",
    headers: Sequence[tuple[str, str]] = (),
    drained: Callable[[], Awaitable[None]] | None = None,
) -> AsyncGenerator[Served]:
    """Serve ``app`` on a free loopback port until the block ends.

    ``http`` is uvicorn's protocol, by its name. ``headers`` are to be in every answer. ``drained`` is awaited when all
    connections have ended, before the application's own shutdown. Raises RuntimeError if the application does not start.
    """
    config = uvicorn.Config(
        app,
        http=http,
        log_config=None,
        access_log=False,
        server_header=False,
        headers=list(headers),
        proxy_headers=False,
        timeout_graceful_shutdown=2,
        loop="none",
    )
    server = _Server(config, drained)
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
