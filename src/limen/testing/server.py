"""Servers without sockets: what accepts a connection in memory and answers it. The protocols are those of real servers."""

import asyncio
from contextvars import Context
from typing import Any, Final, Literal, Protocol

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from limen.engines.direct import GatewayProtocol
from limen.testing.listener import Listener
from limen.testing.transport import connect

Engine = Literal["direct", "asgi"]

PROTOCOLS: Final[dict[Engine, type[Any]]] = {"direct": GatewayProtocol, "asgi": HttpToolsProtocol}
"""As ``limen serve`` has it, and as uvicorn has for any application."""

PORT = 50000
"""From which the connections come; nobody listens there."""


class Server(Protocol):
    """What connections in memory lead to."""

    async def accept(self, client: asyncio.Protocol, *, peer: str, tls: bool) -> None:
        """Connect ``client``, which comes from the address ``peer``. Raises ConnectionRefusedError."""
        ...

    async def close(self) -> None:
        """End every connection, and what still runs for one."""
        ...


class AppServer:
    """Serves an ASGI application by a protocol class for uvicorn."""

    def __init__(self, app: ASGIApp, state: dict[str, Any], context: Context, engine: Engine = "asgi") -> None:
        """``state`` is what the application's lifespan has left for requests; everything runs in ``context``."""
        self._config = Config(
            app, log_config=None, access_log=False, proxy_headers=False, server_header=False, ws="none"
        )
        self._config.load()
        self._state = state
        self._context = context
        self._protocol = PROTOCOLS[engine]
        self._server = ServerState()

    async def accept(self, client: asyncio.Protocol, *, peer: str, tls: bool) -> None:
        """Connect ``client``."""
        protocol = self._protocol(self._config, self._server, self._state)
        connect(client, protocol, peer=(peer, PORT), context=self._context, tls=tls)

    async def close(self) -> None:
        """End every connection, and cancel the requests that are under way."""
        for connection in list(self._server.connections):
            transport: Any = connection.transport
            transport.abort()
        await asyncio.sleep(0)  # connection_lost is called
        tasks = list(self._server.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class ScriptServer:
    """Serves connections by the scripts of a service that has no socket."""

    def __init__(self, listener: Listener, context: Context) -> None:
        """``listener`` is not started."""
        self._listener = listener
        self._context = context

    async def accept(self, client: asyncio.Protocol, *, peer: str, tls: bool) -> None:
        """Connect ``client`` to the next script."""
        script = await self._listener.admit()
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._listener.serve(script, reader, writer)

        protocol = asyncio.StreamReaderProtocol(reader, serve, loop=loop)
        connect(client, protocol, peer=(peer, PORT), context=self._context, tls=tls)

    async def close(self) -> None:
        """End every conversation; raises what a script has raised."""
        await self._listener.end()
        self._listener.raise_first()
