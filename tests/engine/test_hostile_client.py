"""One hostile client: what it has in line, unread or held is counted while it does its worst."""

import asyncio
import re
import socket
from typing import Any

import pytest
from fastapi import Request
from pydantic import BaseModel

from guarded_gateway import PING, guarded_gateway
from limen import Gateway, Upstream, anyone
from limen.client.limits import ClientLimits
from limen.engines.direct.body_meter import MOST_FRAMING
from limen.engines.direct.connection_timer import LINGER
from limen.engines.direct.input_buffer import MOST_WAITING
from limen.engines.direct.stages import DISCARDING
from limen.testing import ScriptedUpstream
from serving import Served, serving, until

KiB = 1024
MiB = 1024 * KiB


def the_one(served: Served) -> Any:
    (found,) = served.connections
    return found


@pytest.mark.parametrize("path", [b"/svc/x", b"/nowhere", b"/svc//x"])
async def test_a_client_that_pipelines_and_reads_nothing(path: bytes) -> None:
    """However much it sends: few are begun, few are in line, and the rest is not read. Once it reads, all are answered."""
    count = 5000
    async with guarded_gateway() as gateway:
        reader, writer = await gateway.open(buffer=4096)
        writer.write(b"GET /svc/ping HTTP/1.1\r\nhost: g\r\n\r\n")
        await reader.readuntil(b"ok")
        protocol = the_one(gateway.served)
        # Else the kernel would take megabytes for the client that does not read.
        protocol.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        writer.write(b"".join(b"GET %b?%d HTTP/1.1\r\nhost: g\r\n\r\n" % (path, number) for number in range(count)))
        line, unread, held = [0], [0], [0]

        def stuck() -> bool:
            line.append(len(protocol.requests.waiting))
            unread.append(protocol.transport.get_write_buffer_size())
            held.append(protocol.state.bodies.total)
            return protocol.input.write_paused and protocol.input.pending() and protocol.requests.is_full()

        await until(stuck)
        answered = 0
        while answered < count:
            await reader.readuntil(b"HTTP/1.1 ")
            answered += 1
            if not answered % 100:
                stuck()
        assert max(line) <= MOST_WAITING + 1
        assert max(unread) <= 64 * KiB + 2 * KiB  # what may wait, and one answer more
        assert max(held) <= 512 * KiB  # one read of the loop's, and what was left of the one before
        writer.close()
        await until(lambda: not gateway.served.connections)
        assert protocol.state.bodies.total == 0


class Pieces:
    """Counts the pieces of a body: with each, what waits for it is woken."""

    def __init__(self, event: asyncio.Event) -> None:
        self.count = 0
        self._event = event
        self.wait = event.wait
        self.clear = event.clear

    def set(self) -> None:
        self.count += 1
        self._event.set()


async def test_chunks_of_one_byte_are_joined_and_bounded() -> None:
    async with guarded_gateway() as gateway:
        reader, writer = await gateway.open()
        writer.write(b"PUT /local/raw HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n")
        enough = MOST_FRAMING // 4 - 10
        writer.write(b"1\r\na\r\n" * enough + b"0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(len(str(enough))) == str(enough).encode()
        protocol = the_one(gateway.served)
        before = protocol.current
        writer.write(b"PUT /local/raw HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n")
        await until(lambda: protocol.current is not before)
        pieces = protocol.current._event = Pieces(protocol.current._event)
        writer.write(b"1\r\na\r\n" * 40_000)
        got = await reader.read()
        assert got.startswith(b"HTTP/1.1 400 ")
        assert b"The chunks of the request body are too small." in got
        assert protocol.parser.meter.content < MOST_FRAMING // 4 + 1000
        assert 0 < pieces.count < 100
        writer.close()


class Form(BaseModel):
    """A declared body that is held."""

    text: str


async def test_slow_uploads_give_way_and_an_honest_one_does_not() -> None:
    """A hundred clients hold all there is; whoever comes then is served, and nobody else is cut than has to be."""
    size, memory = 300 * KiB, 16 * MiB
    async with ScriptedUpstream() as upstream:
        app = Gateway(limits=ClientLimits(body_memory=memory))

        @app.post("/form", upstream=Upstream("svc", [upstream.url]), allow=anyone, max_body=MiB)
        def stub(form: Form) -> None: ...

        del stub
        bodies = app.active_config().runtime.body_memory

        async def serve(conversation: Any) -> None:
            while True:
                await conversation.request()
                await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

        upstream.scripts[:] = [serve]
        head = b"POST /form HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        async with serving(app) as served:
            slow = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(100)]
            for _, writer in slow:
                writer.write(head % size + b'{"text": "' + b"a" * (size - 100 * KiB))

            def full() -> bool:
                assert bodies.total <= bodies.most == 6 * MiB
                return sum(bool(_so_far(reader)) for reader, _ in slow) >= 69  # 100 of 200 KiB, less 6 MiB

            await until(full)
            for _ in range(20):
                text = b'{"text": "' + b"b" * (200 * KiB) + b'"}'
                got = await served.raw(
                    head % len(text) + text, PING.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
                )
                assert got.startswith(b"HTTP/1.1 200 "), got
                assert bodies.total <= bodies.most == 6 * MiB
            cut = [got for reader, _ in slow if (got := _so_far(reader))]
            assert 70 <= len(cut) < 100
            for got in cut:
                assert got.startswith(b"HTTP/1.1 503 "), got
                assert b'"code":"bodies_full"' in got
                assert b"\r\nretry-after: 1\r\n" in got
                assert b"\r\nconnection: close\r\n" in got
            for _, writer in slow:
                writer.close()
            await until(lambda: bodies.total == 0)
            assert len(bodies) == 0


async def test_bodies_that_local_endpoints_read_have_the_same_bound() -> None:
    """FastAPI holds what it reads: a hundred slow ones hold no more than a worker may, and an honest one is served."""
    size, memory = 300 * KiB, 16 * MiB
    app = Gateway(limits=ClientLimits(body_memory=memory), max_body_size=MiB)

    @app.post("/form")
    def local(form: Form) -> int:
        return len(form.text)

    del local
    bodies = app.active_config().runtime.body_memory
    head = b"POST /form HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    async with serving(app) as served:
        slow = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(100)]
        for _, writer in slow:
            writer.write(head % size + b'{"text": "' + b"a" * (size - 100 * KiB))

        def full() -> bool:
            assert bodies.total <= bodies.most == 6 * MiB
            return sum(bool(_so_far(one)) for one, _ in slow) >= 69  # as above

        await until(full)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        for _ in range(20):
            text = b'{"text": "' + b"b" * (200 * KiB) + b'"}'
            writer.write(head % len(text) + text)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(6) == b"204800"
            assert bodies.total <= bodies.most == 6 * MiB
        cut = [got for one, _ in slow if (got := _so_far(one))]
        assert 70 <= len(cut) < 100
        for got in cut:
            assert got.startswith(b"HTTP/1.1 503 "), got
            assert b'"code":"bodies_full"' in got
            assert b"\r\nretry-after: 1\r\n" in got
            assert b"\r\nconnection: close\r\n" in got
        for _, one in slow:
            one.close()
        writer.close()
        await until(lambda: bodies.total == 0)
        assert len(bodies) == 0


async def test_a_streaming_endpoint_may_read_more_than_the_body_memory() -> None:
    size = 12 * MiB
    app = Gateway(limits=ClientLimits(body_memory=30 * MiB), max_body_size=64 * MiB)
    counted: list[int] = []

    @app.put("/stream")
    async def local(request: Request) -> int:
        total = 0
        async for chunk in request.stream():
            total += len(chunk)
            counted.append(app.active_config().runtime.body_memory.total)
        return total

    del local
    async with serving(app) as served:
        got = await served.client.put("/stream", content=bytes(size))
        assert (got.status_code, got.json()) == (200, size)
        assert max(counted) <= 10 * MiB + 512 * KiB  # and what was read and waits to be parsed
        await until(lambda: app.active_config().runtime.body_memory.total == 0)


def _so_far(reader: asyncio.StreamReader) -> bytes:
    """Return what has come already."""
    return bytes(reader._buffer)  # pyright: ignore


async def test_a_body_that_is_refused_in_line_is_released() -> None:
    async with guarded_gateway() as gateway:
        reader, writer = await gateway.open()
        writer.write(b"GET /svc/hold HTTP/1.1\r\nhost: g\r\n\r\n")
        await gateway.arrived.get()
        bodies = (await gateway.worker_state()).bodies
        assert bodies is gateway.app.active_config().runtime.body_memory  # engines and what waits before them share it
        writer.write(b"POST /svc/x HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"f000\r\n" + bytes(0xF000) + b"\r\n")
        await until(lambda: any(one.requests.waiting for one in gateway.served.connections))
        (one,) = [one for one in gateway.served.connections if one.requests.waiting]
        await until(lambda: one.parser.meter.content == 0xF000)
        writer.write(b"no chunk\r\n")
        await until(lambda: one.parser.stage == DISCARDING)
        gateway.release.set()
        got = await reader.read()
        assert re.findall(rb"HTTP/1\.1 (\d+)", got) == [b"200", b"400"]
        writer.close()
        await until(lambda: not gateway.served.connections)
        assert (bodies.total, len(bodies)) == (0, 0)


async def test_input_after_a_refusal_is_discarded_within_bounds(engine: str) -> None:
    async with guarded_gateway(ClientLimits(linger=1.0)) as gateway:
        reader, writer = await gateway.open()
        writer.write(b"PUT /svc//x HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello")
        got = await reader.read()
        assert got.startswith(b"HTTP/1.1 400 ")
        if engine == "direct":  # on asgi the engine has thrown it away before
            (one,) = gateway.served.connections
            assert (one.parser.stage, one.deadline.timing) == (DISCARDING, LINGER)
        await until(lambda: not gateway.served.connections)  # though the client does not close
        writer.close()
