"""Bytes to and from a scripted target, on a real socket and in memory alike."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import copy_context
from typing import Literal, cast

from limen.testing import ScriptedTarget
from limen.testing.server import ScriptServer

Place = Literal["memory", "socket"]


class Peer(asyncio.Protocol):
    """The client's end of one connection: what it got, and how it ended. ``ended`` is empty until then."""

    def __init__(self) -> None:
        self.got = b""
        self.ended: Literal["", "end", "reset"] = ""
        self.held_back = False
        self.transport: asyncio.Transport
        self._told = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class is none

    def data_received(self, data: bytes) -> None:
        self.got += data
        self._told.set()

    def pause_writing(self) -> None:
        self.held_back = True

    def resume_writing(self) -> None:
        self.held_back = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = "reset" if exc else "end"
        self._told.set()

    def send(self, data: bytes) -> None:
        """Write ``data``."""
        self.transport.write(data)

    async def gets(self, data: bytes) -> None:
        """Wait until all that has come is ``data``."""
        while self.got != data:
            assert data.startswith(self.got), (self.got, data)
            assert not self.ended, (self.got, self.ended)
            await self._next()

    async def end(self) -> str:
        """Wait for the end, and return which one it is."""
        while not self.ended:
            await self._next()
        return self.ended

    async def _next(self) -> None:
        self._told.clear()
        await self._told.wait()


class Wire:
    """The way to ``target``."""

    def __init__(self, target: ScriptedTarget, place: Place) -> None:
        self._target = target
        self._server = ScriptServer(target.listener, copy_context()) if place == "memory" else None
        self._peers: list[Peer] = []

    async def connect(self) -> Peer:
        """Return a connection. Raises ConnectionRefusedError."""
        peer = Peer()
        if self._server is None:
            await asyncio.get_running_loop().create_connection(lambda: peer, "127.0.0.1", self._target.port)
        else:
            await self._server.accept(peer, peer="127.0.0.1", tls=False)
        self._peers.append(peer)
        return peer

    async def asks(self, data: bytes) -> Peer:
        """Return a connection of its own on which ``data`` was written."""
        peer = await self.connect()
        peer.send(data)
        return peer

    async def close(self) -> None:
        """End every connection, on both sides if they are in memory; raise what a script has raised."""
        for peer in self._peers:
            peer.transport.abort()
        if self._server is not None:
            await self._server.close()


@asynccontextmanager
async def reached(target: ScriptedTarget, place: Place) -> AsyncGenerator[Wire]:
    """Have ``target`` listen, or be in memory, and yield the way to it; at the end, raise what a script has raised."""
    async with AsyncExitStack() as stack:
        if place == "socket":
            await stack.enter_async_context(target)
        wire = Wire(target, place)
        stack.push_async_callback(wire.close)
        yield wire


async def turns(count: int = 30) -> None:
    """Let everything happen that is about to: in memory all of it, on a socket what the system has brought."""
    for _ in range(count):
        await asyncio.sleep(0)
