"""Behaviours of an attacker on one connection, independent of the bytes. A behaviour is a coroutine that connects, attacks,
and returns or raises OSError at the end; it is restarted at once until the measurement ends.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

from bench.load_generator import ResponseReader

_PIECE_BYTES = 1 << 18
_IP_BIND_ADDRESS_NO_PORT = (
    24  # IP_BIND_ADDRESS_NO_PORT (ip(7)): the port is chosen when connecting, so addresses do not run out
)


class AttackConnection:
    """An attacker's current connection, and the counts of all its connections."""

    def __init__(self, port: int, rng: Random, counts: Counter[str]) -> None:
        """``counts`` has connections, bytes sent and read, and responses by status."""
        self._port = port
        self._rng = rng
        self._counts = counts
        self._socket: socket.socket | None = None

    async def open(self, *, window: int = 0) -> None:
        """Connect from another network than the probe's; ``window`` is the receive buffer in bytes."""
        self.close()
        sock = self._socket = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        sock.bind((f"127.1.1.{self._rng.randrange(1, 255)}", 0))
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        self._counts["connections"] += 1

    async def send(self, data: bytes) -> None:
        """Send ``data`` in pieces, so that bytes are counted while they are sent."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            await loop.sock_sendall(self._connected(), piece)
            self._counts["sent"] += len(piece)
            await asyncio.sleep(0)  # a send that does not block would starve all other connections of this process

    async def recv(self, size: int = _PIECE_BYTES) -> bytes:
        """Return some bytes; raises ConnectionError at the end."""
        data = await asyncio.get_running_loop().sock_recv(self._connected(), size)
        if not data:
            raise ConnectionError("closed by the gateway")
        self._counts["read"] += len(data)
        return data

    async def read_response(self) -> None:
        """Read one response and count its status."""
        reader = ResponseReader(0.0)
        data = await self.recv()
        self._counts[data[9:12].decode("latin-1")] += 1
        while not reader.feed(data):
            data = await self.recv()

    def close(self) -> None:
        """Close what is open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        assert self._socket is not None
        return self._socket


Behaviour = Callable[[AttackConnection, Random], Awaitable[None]]
MakeRequest = Callable[[Random], bytes]
"""Makes the bytes of one request, different each time."""


def repeat_request(request: bytes | MakeRequest) -> Behaviour:
    """Send a request and read its response, repeatedly."""

    async def behaviour(connection: AttackConnection, rng: Random) -> None:
        await connection.open()
        while True:
            with suppress(
                BrokenPipeError, ConnectionResetError
            ):  # refused before it was all there: the answer says how
                await connection.send(request if isinstance(request, bytes) else request(rng))
            await connection.read_response()

    return behaviour


def send_endlessly(block: bytes, first_bytes: bytes = b"") -> Behaviour:
    """Send ``first_bytes``, then ``block`` without end, and read nothing."""

    async def behaviour(connection: AttackConnection, _: Random) -> None:
        await connection.open()
        await connection.send(first_bytes)
        while True:
            await connection.send(block)

    return behaviour


def pipeline(block: bytes) -> Behaviour:
    """Send requests endlessly, and read all responses meanwhile."""

    async def behaviour(connection: AttackConnection, _: Random) -> None:
        await connection.open()

        async def send() -> None:
            while True:
                await connection.send(block)

        sender = asyncio.create_task(send())
        try:
            while True:
                await connection.recv()
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    return behaviour


def drip(head: bytes, piece: bytes, pause: float) -> Behaviour:
    """Send a head, or a part of one, then ``piece`` every ``pause`` seconds."""

    async def behaviour(connection: AttackConnection, rng: Random) -> None:
        await asyncio.sleep(rng.uniform(0, pause))
        await connection.open()
        await connection.send(head)
        while True:
            await asyncio.sleep(pause)
            await connection.send(piece)

    return behaviour


def send_and_wait(data: bytes) -> Behaviour:
    """Send an incomplete request, then nothing."""

    async def behaviour(connection: AttackConnection, _: Random) -> None:
        await connection.open()
        await connection.send(data)
        await connection.read_response()

    return behaviour


def read_slowly(request: bytes, size: int, pause: float, *, window: int = 0) -> Behaviour:
    """Request a large response, and read ``size`` bytes of it every ``pause`` seconds."""

    async def behaviour(connection: AttackConnection, _: Random) -> None:
        await connection.open(window=window)
        await connection.send(request)
        while True:
            await asyncio.sleep(pause)
            await connection.recv(size)

    return behaviour


def read_until_closed(request: bytes) -> Behaviour:
    """Send a request with ``connection: close``, and read until the end, as fast as possible."""

    async def behaviour(connection: AttackConnection, _: Random) -> None:
        await connection.open()
        await connection.send(request)
        while True:
            await connection.recv()

    return behaviour


def connect_and_close(data: bytes = b"", *, wait_for_response: bool = False) -> Behaviour:
    """Connect, send ``data``, perhaps wait for the first bytes of the response, and close."""

    async def behaviour(connection: AttackConnection, _: Random) -> None:
        while True:
            await connection.open()
            await connection.send(data)
            if wait_for_response:
                await connection.recv()
            await asyncio.sleep(0)

    return behaviour
