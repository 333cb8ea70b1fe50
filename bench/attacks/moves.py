"""How an attacker behaves on one connection, whatever the bytes: a move is a coroutine that opens its connection, does its
worst, and returns or raises OSError when that is over. It is begun again at once, until the measure is over.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

from bench.pace import Answer

_PIECE = 1 << 18
_ADDRESS_NO_PORT = (
    24  # IP_BIND_ADDRESS_NO_PORT (ip(7)): the port is chosen when connecting, so addresses do not run out
)


class Peer:
    """One attacking connection at a time, and what all of them of this process have done."""

    def __init__(self, port: int, rng: Random, done: Counter[str]) -> None:
        """``done`` counts connections, bytes sent and read, and answers by status."""
        self._port = port
        self._rng = rng
        self._done = done
        self._socket: socket.socket | None = None

    async def open(self, *, window: int = 0) -> None:
        """Connect from a network that the others are not in, with ports enough.

        ``window`` bytes are all that the system takes unread.
        """
        self.close()
        sock = self._socket = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, _ADDRESS_NO_PORT, 1)
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        sock.bind((f"127.1.1.{self._rng.randrange(1, 255)}", 0))
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        self._done["connections"] += 1

    async def send(self, data: bytes) -> None:
        """Send all of it, in pieces, so that what was sent is counted while it goes."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            await loop.sock_sendall(self._open(), piece)
            self._done["sent"] += len(piece)
            await asyncio.sleep(0)  # what does not block would keep all other connections of this process waiting

    async def recv(self, size: int = _PIECE) -> bytes:
        """Return some bytes; raises ConnectionError at the end."""
        data = await asyncio.get_running_loop().sock_recv(self._open(), size)
        if not data:
            raise ConnectionError("closed by the gateway")
        self._done["read"] += len(data)
        return data

    async def answer(self) -> None:
        """Read one answer and count its status."""
        answer = Answer(0.0)
        data = await self.recv()
        self._done[data[9:12].decode("latin-1")] += 1
        while not answer.take(data):
            data = await self.recv()

    def close(self) -> None:
        """Close what is open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        assert self._socket is not None
        return self._socket


Move = Callable[[Peer, Random], Awaitable[None]]
Make = Callable[[Random], bytes]
"""Makes the bytes of one request, each time others."""


def asks(request: bytes | Make) -> Move:
    """Send a request and read its answer, again and again."""

    async def move(peer: Peer, rng: Random) -> None:
        await peer.open()
        while True:
            with suppress(
                BrokenPipeError, ConnectionResetError
            ):  # refused before it was all there: the answer says how
                await peer.send(request if isinstance(request, bytes) else request(rng))
            await peer.answer()

    return move


def floods(block: bytes, first: bytes = b"") -> Move:
    """Send ``first``, then ``block`` without end, and read nothing."""

    async def move(peer: Peer, _: Random) -> None:
        await peer.open()
        await peer.send(first)
        while True:
            await peer.send(block)

    return move


def pipelines(block: bytes) -> Move:
    """Send without end, and read all that comes meanwhile."""

    async def move(peer: Peer, _: Random) -> None:
        await peer.open()

        async def send() -> None:
            while True:
                await peer.send(block)

        sender = asyncio.create_task(send())
        try:
            while True:
                await peer.recv()
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    return move


def drips(head: bytes, piece: bytes, pause: float) -> Move:
    """Send a head, or a part of one, and ``piece`` after each ``pause`` seconds."""

    async def move(peer: Peer, rng: Random) -> None:
        await asyncio.sleep(rng.uniform(0, pause))
        await peer.open()
        await peer.send(head)
        while True:
            await asyncio.sleep(pause)
            await peer.send(piece)

    return move


def holds(data: bytes) -> Move:
    """Send what is not a whole request, and fall silent."""

    async def move(peer: Peer, _: Random) -> None:
        await peer.open()
        await peer.send(data)
        await peer.answer()

    return move


def sips(request: bytes, size: int, pause: float, *, window: int = 0) -> Move:
    """Ask for a large answer, and read ``size`` bytes of it after each ``pause`` seconds."""

    async def move(peer: Peer, _: Random) -> None:
        await peer.open(window=window)
        await peer.send(request)
        while True:
            await asyncio.sleep(pause)
            await peer.recv(size)

    return move


def reads(request: bytes) -> Move:
    """Ask, with ``connection: close``, and read until the end, as fast as it comes."""

    async def move(peer: Peer, _: Random) -> None:
        await peer.open()
        await peer.send(request)
        while True:
            await peer.recv()

    return move


def comes_and_goes(data: bytes = b"", *, reads: bool = False) -> Move:
    """Connect, send ``data``, wait for the first bytes of an answer if it ``reads``, and close."""

    async def move(peer: Peer, _: Random) -> None:
        while True:
            await peer.open()
            await peer.send(data)
            if reads:
                await peer.recv()
            await asyncio.sleep(0)

    return move
