"""``python -m bench.attacks.service PORT``: what is behind the routes that are attacked, and itself an attacker where asked.

It swallows bodies and answers ``{}``; ``/strange/answers/<kind>`` is answered in one of the ways of ``KINDS``.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import cast

import httptools

from bench.login_clients import step_back

_LARGE = 8 << 20


def _whole(content: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(content) + content


_SMALL_ANSWER = _whole(b"{}")
_LARGE_ANSWER = _whole(bytes(_LARGE))
_NO_KEY = _whole(b'{"active":false}')
_MISFITS = _whole(b"[" + b'{"i":"x"},' * 104_000 + b'{"i":1}]')


Write = Callable[[bytes], Awaitable[None]]


class Strange(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._may_write = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_message_complete(self) -> None:
        assert self._transport is not None
        prefix, _, kind = self._path.partition(b"/answers/")
        if kind == b"large":
            self._transport.write(_LARGE_ANSWER)
        elif kind:
            self._task = asyncio.create_task(KINDS[kind](self.write))
        elif prefix == b"/strange/introspect":
            self._transport.write(_NO_KEY)
        elif prefix == b"/strange/misfits":
            self._transport.write(_MISFITS)
        else:
            self._transport.write(_SMALL_ANSWER)

    async def write(self, data: bytes) -> None:
        """Write, and wait until the gateway has taken most of it."""
        assert self._transport is not None
        self._transport.write(data)
        await asyncio.sleep(0)
        await self._may_write.wait()


async def _for_ever(write: Write, first: bytes, then: bytes) -> None:
    await write(first)
    while True:
        await write(then)


KINDS: dict[bytes, Callable[[Write], Coroutine[None, None, None]]] = {
    b"bytes": lambda write: _for_ever(write, b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n", b"a"),
    b"chunks": lambda write: _for_ever(
        write, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 10_000
    ),
    b"head": lambda write: _for_ever(write, b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 10_000),
    b"interim": lambda write: _for_ever(write, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2_000),
}
"""Answers that never end."""


async def serve(port: int) -> None:
    """Serve until the process ends."""
    step_back()  # it stands for another machine, and must not keep that of the others from its work
    server = await asyncio.get_running_loop().create_server(Strange, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
