"""Slow streamed bodies leave half of a service's connections to others. Without scarcity both directions stream."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from limen import Gateway, Limits, Timeouts, Upstream, anyone
from limen.client.limits import ClientLimits
from limen.testing import Conversation, ScriptedUpstream, drained, snapshot
from serving import Served, serving, until

MOST = 8
SLOW = 20
GET = b"GET /svc/quick HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n"
POST = b"POST /svc/quick HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
UPLOADS = {
    "length": (b"content-length: 8\r\n\r\nhalf", b"half"),
    "chunked": (b"transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"4\r\nhalf\r\n0\r\n\r\n"),
}
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ScarceGateway:
    """A gateway whose service has few connections, and how many uploads the service has seen."""

    def __init__(self, app: Gateway, served: Served, upstream: ScriptedUpstream) -> None:
        self.app = app
        self.served = served
        self.upstream = upstream

    def uploads(self) -> int:
        return sum(b" /svc/slow" in head for head in self.upstream.requests)

    async def upload(self, first: bytes) -> Client:
        client = await asyncio.open_connection("127.0.0.1", self.served.port)
        client[1].write(b"POST /svc/slow HTTP/1.1\r\nhost: g\r\nconnection: close\r\n" + first)
        return client


async def answering(conversation: Conversation) -> None:
    """Answer each request once its body has come."""
    while True:
        head = await conversation.head()
        if b"chunked" in head:
            await conversation.reader.readuntil(b"0\r\n\r\n")
        elif b"content-length: " in head:
            await conversation.reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        await conversation.say(OK)


async def silent(conversation: Conversation) -> None:
    """Read, and say nothing."""
    await conversation.head()
    await conversation.reader.read()


@contextlib.asynccontextmanager
async def scarce_gateway(
    *, timeouts: Timeouts | None = None, limits: ClientLimits | None = None
) -> AsyncGenerator[ScarceGateway]:
    async with ScriptedUpstream(answering) as upstream:
        app = Gateway(limits=limits)
        few = Limits(connections=MOST)
        service = Upstream("svc", [upstream.url], limits=few, timeouts=timeouts or Timeouts())
        app.forward("/svc/{path:path}", upstream=service, allow=anyone)
        app.forward("/small/{path:path}", upstream=service, allow=anyone, max_body=8)
        async with serving(app) as served:
            yield ScarceGateway(app, served, upstream)


async def served(one: ScarceGateway) -> None:
    """Insist that several others are served at the same time."""
    for got in await asyncio.gather(*(one.served.raw(each) for each in (GET, POST) * 3)):
        assert got.startswith(b"HTTP/1.1 200 "), got


async def test_slow_uploads_hold_half_of_the_connections_and_others_are_served() -> None:
    async with scarce_gateway() as one:
        for first, rest in UPLOADS.values():
            before = one.uploads()
            slow = await asyncio.gather(*(one.upload(first) for _ in range(SLOW)))
            await until(lambda before=before: one.uploads() - before == MOST // 2)
            await served(one)
            assert one.uploads() - before == MOST // 2
            now = snapshot(one.app)
            assert (now.busy, now.waiting) == (MOST // 2, 0)
            for _, writer in slow:
                writer.write(rest)
            for reader, writer in slow:
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                writer.close()
            assert one.uploads() - before == SLOW
            await drained(one.app)


async def test_a_body_that_gives_way_leaves_the_line_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its turn would come only when a connection is free."""
    caplog.set_level("INFO", "limen.access")

    async with scarce_gateway(timeouts=Timeouts(connect=60.0), limits=ClientLimits(body_memory=280_000)) as one:
        one.upstream.scripts[:] = [silent]
        others = [await asyncio.open_connection("127.0.0.1", one.served.port) for _ in range(MOST)]
        for _, writer in others:
            writer.write(GET)
        await until(lambda: snapshot(one.app).busy == MOST)
        bodies = one.app.active_config().runtime.body_memory
        uploads: list[Client] = []
        for number in (1, 2):
            one_of_them = await one.upload(b"x-request-id: upload%d\r\ncontent-length: 99999\r\n\r\n" % number)
            uploads.append(one_of_them)
            one_of_them[1].write(b"x" * 33_000)  # in pieces: what was read and not parsed would count as well
            await until(lambda number=number: bodies.total == 66_000 * number - 33_000)
            one_of_them[1].write(b"x" * 33_000)
            await until(lambda number=number: number == 2 or snapshot(one.app).waiting == 1)
        got = await uploads[0][0].read()
        assert got.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"bodies_full"' in got
        assert b"\r\nx-request-id: upload1\r\n" in got
        await until(lambda: bodies.total == 66_000 and snapshot(one.app).waiting == 1)
        assert snapshot(one.app).busy == MOST
        for _, writer in (*others, *uploads):
            writer.close()
        await drained(one.app)
    lines = [line for line in caplog.messages if "upload1" in line]
    assert len(lines) == 1
    assert "code=bodies_full" in lines[0]


async def test_uploads_that_come_in_one_turn_of_the_loop_hold_no_more() -> None:
    """Each of them finds a pool with room, before the first has its connection."""
    async with scarce_gateway() as one:
        slow = [await asyncio.open_connection("127.0.0.1", one.served.port) for _ in range(SLOW)]
        await one.served.raw(GET)  # the gateway has accepted them
        for _, writer in slow:
            writer.write(b"POST /svc/slow HTTP/1.1\r\nhost: g\r\ncontent-length: 8\r\n\r\nhalf")
        await until(lambda: one.uploads() == MOST // 2)
        await served(one)
        assert one.uploads() == MOST // 2
        for _, writer in slow:
            writer.transport.abort()
        await drained(one.app)


async def test_slow_uploads_that_leave_or_are_refused_release_everything() -> None:
    async with scarce_gateway(limits=ClientLimits(body_silence=1.0, linger=0.2)) as one:
        slow = await asyncio.gather(*(one.upload(UPLOADS["length"][0]) for _ in range(SLOW)))
        await until(lambda: one.uploads() == MOST // 2)
        for _, writer in slow[::2]:
            writer.transport.abort()
        for reader, writer in slow[1::2]:
            assert b'"code":"request_timeout"' in await reader.read()
            writer.close()
        await drained(one.app)
        await served(one)


async def test_a_waiting_upload_keeps_to_the_timeouts_of_its_route() -> None:
    async with scarce_gateway(timeouts=Timeouts(idle=0.5)) as one:
        slow = await asyncio.gather(*(one.upload(UPLOADS["chunked"][0]) for _ in range(SLOW)))
        for reader, writer in slow:
            got = await reader.read()
            assert got.startswith(b"HTTP/1.1 408 "), got
            writer.close()
        assert one.uploads() == MOST // 2
        await drained(one.app)


async def test_a_waiting_upload_keeps_to_max_body() -> None:
    async with scarce_gateway() as one:
        slow = await asyncio.gather(*(one.upload(UPLOADS["length"][0]) for _ in range(MOST // 2)))
        await until(lambda: one.uploads() == MOST // 2)
        got = await one.served.raw(
            b"POST /small/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            b"5\r\nworse\r\n",
        )
        assert got.startswith(b"HTTP/1.1 413 "), got
        assert not any(b"/small/x" in head for head in one.upstream.requests)
        for _, writer in slow:
            writer.transport.abort()


async def test_a_stop_waits_for_uploads_that_wait() -> None:
    first, rest = UPLOADS["length"]
    async with scarce_gateway() as one:
        slow = await asyncio.gather(*(one.upload(first) for _ in range(SLOW)))
        await until(lambda: one.uploads() == MOST // 2)
        await one.served.raw(GET)
        one.served.stop()
        for _, writer in slow:
            writer.write(rest)
        ends = await asyncio.gather(*(reader.read() for reader, _ in slow))
        assert all(end.startswith(b"HTTP/1.1 200 ") for end in ends), ends
        for _, writer in slow:
            writer.close()


async def test_without_scarcity_an_answer_begins_before_its_request_has_ended() -> None:
    async def echoing(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(3):
            await conversation.say(await conversation.reader.readexactly(6))
        await conversation.say(await conversation.reader.readexactly(5))

    async with scarce_gateway() as one:
        one.upstream.scripts[:] = [echoing]
        reader, writer = await one.upload(b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for piece in (b"b", b"c"):
            assert (await reader.readuntil(b"\r\n"), len(await reader.readuntil(b"\r\n"))) == (b"1\r\n", 3)
            writer.write(b"1\r\n%b\r\n" % piece)
        writer.write(b"0\r\n\r\n")
        assert await reader.read() == b"1\r\nc\r\n0\r\n\r\n"
        writer.close()
