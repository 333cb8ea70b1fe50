"""An upgraded connection: the bytes behind the head, and all after them, belong to the new protocol."""

import asyncio
from typing import Any, cast

import pytest

from limen import Gateway
from limen.engines.direct.input_buffer import SMALL, STEP
from serving import serving, until

FRAME = b"\x81\x85\0\0\0\0hello"
GET = b"GET /late HTTP/1.1\r\nhost: g\r\n\r\n"  # no frame: whoever parsed it would answer


class FakeWebSocket(asyncio.Protocol):
    """Stands where uvicorn has a WebSocket protocol: keeps what it gets, and answers the head."""

    made: "list[FakeWebSocket]"

    def __init__(self, config: Any, server_state: Any, app_state: Any) -> None:
        """As uvicorn makes one."""
        self.got = b""
        self.reads = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over."""
        self.transport = cast("asyncio.Transport", transport)
        FakeWebSocket.made.append(self)

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        if not self.got:
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        self.got += data


def head(padding: int) -> bytes:
    """Return that of an upgrade, with a header of so many bytes."""
    lines = (
        b"GET /socket HTTP/1.1",
        b"Host: g",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"X-Pad: " + b"p" * padding,
    )
    return b"\r\n".join((*lines, b"", b""))


@pytest.mark.parametrize("padding", [1, SMALL, 2 * STEP], ids=["at once", "in a step", "in several steps"])
@pytest.mark.parametrize("early", [0, 1, 1000], ids=["none", "one", "many"])
async def test_frames_arrive_that_came_with_the_head_and_after_it(padding: int, early: int) -> None:
    FakeWebSocket.made = []
    async with serving(Gateway()) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        await until(lambda: bool(gateway.connections))
        old = gateway.connections[0]
        old.config.ws_protocol_class = FakeWebSocket
        writer.write(head(padding) + FRAME * early)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
        for _ in range(3):
            writer.write(FRAME)
            await writer.drain()
        writer.write(GET)
        whole = FRAME * (early + 3) + GET
        [taker] = FakeWebSocket.made
        await until(lambda: len(taker.got.partition(b"\r\n\r\n")[2]) >= len(whole))
        assert taker.got.partition(b"\r\n\r\n")[2] == whole
        # Nothing of it was read by the one before, which is none of the server's connections any more.
        assert (old.input.pending(), old in gateway.connections) == (False, False)
        assert len(old.requests.waiting) == 0
        taker.transport.write(b"bye")
        taker.transport.close()
        assert await reader.read() == b"bye"
        writer.close()


async def test_reading_resumes_on_a_paused_connection_after_the_upgrade() -> None:
    """Its head is parsed in several steps, behind a request that was answered; until then the socket is not read."""
    FakeWebSocket.made = []
    app = Gateway()

    @app.get("/quick")
    async def quick() -> str:
        return "quick"

    del quick
    async with serving(app) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        await until(lambda: bool(gateway.connections))
        gateway.connections[0].config.ws_protocol_class = FakeWebSocket
        writer.write(b"GET /quick HTTP/1.1\r\nhost: g\r\n\r\n")
        assert (await reader.readuntil(b'"quick"')).startswith(b"HTTP/1.1 200 ")
        writer.write(head(3 * STEP) + FRAME * 100)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(FRAME)
        [taker] = FakeWebSocket.made
        await until(lambda: taker.got.endswith(FRAME * 101))
        taker.transport.close()
        writer.close()


async def test_a_connection_is_not_given_away_while_a_request_before_waits() -> None:
    FakeWebSocket.made = []
    app = Gateway()
    free = asyncio.Event()

    @app.get("/slow")
    async def slow() -> str:
        await free.wait()
        return "slow"

    del slow
    async with serving(app) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        await until(lambda: bool(gateway.connections))
        (connection,) = gateway.connections
        connection.config.ws_protocol_class = FakeWebSocket
        writer.write(b"GET /slow HTTP/1.1\r\nhost: g\r\n\r\n" + head(1))
        await until(lambda: len(connection.requests.waiting) == 1)
        free.set()
        assert (await reader.readuntil(b'"slow"')).startswith(b"HTTP/1.1 200 ")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404 ")  # the offer is passed over
        assert FakeWebSocket.made == []
        writer.close()


async def test_nobody_looks_for_idle_ones_among_those_that_were_given_away() -> None:
    FakeWebSocket.made = []
    async with serving(Gateway()) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        await until(lambda: bool(gateway.connections))
        (connection,) = gateway.connections
        assert connection.idle_since() is not None
        connection.config.ws_protocol_class = FakeWebSocket
        writer.write(head(1))
        await reader.readuntil(b"\r\n\r\n")
        assert connection.idle_since() is None
        [taker] = FakeWebSocket.made
        taker.transport.close()
        writer.close()
