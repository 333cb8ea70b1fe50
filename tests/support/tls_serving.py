"""``limen serve --tls-certificate`` in the test's own event loop, on the engine that ``serving`` has set."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator

import pytest
import uvicorn

import serving
from engines import PROTOCOLS
from limen import Gateway
from limen.cli import server as cli_server
from limen.cli.server import Server
from limen.cli.tls import TlsFiles, server_context


class _Server(Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # the test runner keeps its own


@contextlib.asynccontextmanager
async def serving_tls(app: Gateway, files: TlsFiles) -> AsyncGenerator[int]:
    """Serve ``app`` over TLS on a free loopback port, which is given, until the block ends.

    A stop waits for clients a tenth as long as in production, and files are looked at with every tick: how long either
    takes is for the tests of the command.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli_server, "LINGER", 0.1)
        patch.setattr(cli_server, "_CHECK_TICKS", 1)
        async with _serving(app, files) as port:
            yield port


@contextlib.asynccontextmanager
async def _serving(app: Gateway, files: TlsFiles) -> AsyncGenerator[int]:
    config = uvicorn.Config(
        app,
        http=PROTOCOLS[serving.ENGINE],
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        loop="none",
        ssl_context_factory=lambda config, default: server_context(files)[0],
    )
    server = _Server(config, files)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await serving.until(lambda: task.done() or (server.started and bool(server.servers)))
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task
