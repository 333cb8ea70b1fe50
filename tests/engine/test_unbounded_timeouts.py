"""``Timeouts(...=None)`` is no bound, on each engine. A request body is bounded even then.

No test waits to see that nothing happens: a second request with a short bound shows that the time has passed.
"""

import asyncio
from typing import Any, cast

import pytest

from engines import ONE_ENGINE
from limen import Gateway, Limits, Timeouts, Upstream, anyone
from limen.client.limits import ClientLimits
from limen.testing import Conversation, ScriptedUpstream, drained
from serving import Served, serving, until

SHORT = 0.2
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Stage:
    """A service that answers ``/.../quick`` at once, and anything else once it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.came = asyncio.Event()

    async def script(self, conversation: Conversation) -> None:
        while True:
            head = await conversation.head()
            if b"/events" in head:
                await conversation.say(HEAD + b"9\r\ndata: 0\n\n\r\n")
            self.came.set()
            if b"/quick" not in head:
                await self.may_answer.wait()
            await conversation.say(b"9\r\ndata: 1\n\n\r\n0\r\n\r\n" if b"/events" in head else OK)


async def opened(served: Served, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request)
    return reader, writer


def get(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n"


def forwarding(upstream: ScriptedUpstream, timeouts: Timeouts, **given: Any) -> Gateway:
    """Return a gateway with ``/none/...``, which has ``timeouts``, and ``/short/...``, which waits for ``SHORT`` at most."""
    app = Gateway(**given)
    service = Upstream("svc", [upstream.url], limits=Limits(connections=4))
    app.forward("/none/{path:path}", upstream=service, allow=anyone, timeouts=timeouts)
    brief = Timeouts(connect=SHORT, first_byte=SHORT, idle=SHORT)
    app.forward("/short/{path:path}", upstream=service, allow=anyone, timeouts=brief)
    return app


async def test_events_may_be_silent_for_any_time() -> None:
    stage = Stage()
    async with (
        ScriptedUpstream(stage.script) as upstream,
        serving(forwarding(upstream, Timeouts(idle=None))) as served,
    ):
        reader, writer = await opened(served, get(b"/none/events"))
        assert (await reader.readuntil(b"data: 0\n\n")).startswith(b"HTTP/1.1 200 ")
        cut = await served.get(b"/short/events")
        assert b"data: 0" in cut
        assert not cut.endswith(b"0\r\n\r\n")
        stage.may_answer.set()
        rest = await reader.read()
        assert b"data: 1\n\n" in rest
        assert rest.endswith(b"0\r\n\r\n")
        writer.close()


async def test_a_head_may_come_at_any_time() -> None:
    stage = Stage()
    async with (
        ScriptedUpstream(stage.script) as upstream,
        serving(forwarding(upstream, Timeouts(first_byte=None))) as served,
    ):
        reader, writer = await opened(served, get(b"/none/x"))
        await stage.came.wait()
        assert b'"answer_timeout"' in await served.get(b"/short/x")
        stage.may_answer.set()
        assert (await reader.read()).endswith(b"\r\n\r\n{}")
        writer.close()


async def test_a_connection_may_be_waited_for_at_any_length() -> None:
    stage = Stage()
    async with ScriptedUpstream(stage.script) as upstream:
        app = forwarding(upstream, Timeouts(connect=None))
        async with serving(app) as served:
            # The first one connects without a bound, too.
            four = [await opened(served, get(b"/none/x")) for _ in range(4)]
            await until(lambda: len(upstream.requests) == 4)
            fifth, writer = await opened(served, get(b"/none/quick"))
            await until(lambda: "1 waiting" in repr(app.active_config().runtime))
            assert b'"pool_exhausted"' in await served.get(b"/short/quick")
            stage.may_answer.set()
            for reader, one in [*four, (fifth, writer)]:
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                one.close()


async def test_the_total_bounds_what_nothing_else_does() -> None:
    stage = Stage()
    unbounded = Timeouts(connect=None, first_byte=None, idle=None, total=SHORT)
    async with ScriptedUpstream(stage.script) as upstream, serving(forwarding(upstream, unbounded)) as served:
        assert b'"answer_timeout"' in await served.get(b"/none/x")
        assert not (await served.get(b"/none/events")).endswith(b"0\r\n\r\n")


async def test_a_hook_may_take_any_time() -> None:
    passed = asyncio.Event()

    async def waits(answer: Any) -> Any:
        await passed.wait()
        return answer

    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.head()
            await conversation.say(OK)

    async with ScriptedUpstream(script) as upstream:
        app = Gateway()
        service = Upstream("svc", [upstream.url])

        @app.get("/none", upstream=service, allow=anyone, after=waits, timeouts=Timeouts(first_byte=None))
        def none() -> dict[str, int]: ...

        @app.get("/short", upstream=service, allow=anyone, after=waits, timeouts=Timeouts(first_byte=SHORT))
        def short() -> dict[str, int]: ...

        async with serving(app) as served:
            reader, writer = await opened(served, get(b"/none"))
            await until(lambda: len(upstream.requests) == 1)
            assert b'"hook_failed"' in await served.get(b"/short")
            passed.set()
            assert (await reader.read()).endswith(b"\r\n\r\n{}")
            writer.close()


async def is_bounded_to_the_client(path: bytes, *, plain: bool) -> None:
    stage = Stage()
    async with ScriptedUpstream(stage.script) as upstream:
        limits = ClientLimits(body_silence=SHORT, linger=SHORT)
        app = forwarding(upstream, Timeouts(idle=None), limits=limits)
        service = Upstream("checked", [upstream.url], timeouts=Timeouts(idle=None))

        @app.post("/checked", upstream=service, allow=anyone)
        def checked(body: dict[str, int]) -> dict[str, int]: ...

        async with serving(app, plain=plain) as served:
            kind = b"content-type: application/json\r\ncontent-length: 9\r\n\r\n{"
            got = await served.raw(b"POST " + path + b" HTTP/1.1\r\nhost: g\r\n" + kind)
            assert got.startswith(b"HTTP/1.1 408 "), got
            await drained(app)


@pytest.mark.parametrize("path", [b"/none/x", b"/checked"])
async def test_a_client_that_sends_nothing_more_is_bounded(path: bytes) -> None:
    await is_bounded_to_the_client(path, plain=False)


@ONE_ENGINE
@pytest.mark.parametrize("path", [b"/none/x", b"/checked"])
async def test_the_engine_bounds_the_client_where_the_server_does_not(path: bytes) -> None:
    await is_bounded_to_the_client(path, plain=True)


async def test_a_service_that_reads_nothing_more_is_bounded() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        cast("asyncio.Transport", conversation.writer.transport).pause_reading()
        await asyncio.Event().wait()

    async with ScriptedUpstream(script) as upstream:
        app = forwarding(upstream, Timeouts(idle=None), limits=ClientLimits(body_silence=SHORT))
        async with serving(app) as served:
            size = 32 * 1024 * 1024
            reader, writer = await opened(
                served, b"POST /none/x HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n" % size
            )
            writer.write(bytes(size))
            got = await reader.readuntil(b"\r\n\r\n")
            assert got.startswith(b"HTTP/1.1 504 "), got
            writer.transport.abort()
            await drained(app)
