"""``python -m bench.attacks.service PORT``: the service behind the attacked routes, which can itself be the attacker.

It discards bodies and responds with ``{}``; the response to ``/hostile/answers/<kind>`` is one of ``ENDLESS_RESPONSES``.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import cast

import httptools

from bench.login_load import lower_priority

_LARGE_BYTES = 8 << 20


def _response(content: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(content) + content


_SMALL_ANSWER = _response(b"{}")
_LARGE_ANSWER = _response(bytes(_LARGE_BYTES))
_INACTIVE_KEY = _response(b'{"active":false}')
_MISFITS = _response(b"[" + b'{"i":"x"},' * 104_000 + b'{"i":1}]')


Write = Callable[[bytes], Awaitable[None]]


class HostileService(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._writable = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

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
            self._task = asyncio.create_task(ENDLESS_RESPONSES[kind](self.write))
        elif prefix == b"/hostile/introspect":
            self._transport.write(_INACTIVE_KEY)
        elif prefix == b"/hostile/misfits":
            self._transport.write(_MISFITS)
        else:
            self._transport.write(_SMALL_ANSWER)

    async def write(self, data: bytes) -> None:
        """Write, and wait until the transport accepts more."""
        assert self._transport is not None
        self._transport.write(data)
        await asyncio.sleep(0)
        await self._writable.wait()


async def _respond_endlessly(write: Write, first_bytes: bytes, repeated: bytes) -> None:
    await write(first_bytes)
    while True:
        await write(repeated)


ENDLESS_RESPONSES: dict[bytes, Callable[[Write], Coroutine[None, None, None]]] = {
    b"bytes": lambda write: _respond_endlessly(write, b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n", b"a"),
    b"chunks": lambda write: _respond_endlessly(
        write, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 10_000
    ),
    b"head": lambda write: _respond_endlessly(write, b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 10_000),
    b"interim": lambda write: _respond_endlessly(write, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2_000),
}
"""Responses that never end."""


async def serve(port: int) -> None:
    """Serve until the process ends."""
    lower_priority()  # it stands for another machine, and must not slow down the probe's service
    server = await asyncio.get_running_loop().create_server(HostileService, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
