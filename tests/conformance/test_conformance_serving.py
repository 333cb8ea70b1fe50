"""What needs a gateway of its own: shutdown, services that come back, Unix sockets, and many clients at once."""

import asyncio
import contextlib
import socket

import pytest

from conformance import OK
from conformance_answer import read_answer
from conformance_gateway import DOWN
from engines import Engine
from limen import Gateway, Limits, Timeouts, Upstream, anyone
from limen.testing import Conversation, ScriptedUpstream, saying
from serving import Served, serving, until


def forwarding(url: str, *, limits: Limits | None = None) -> Gateway:
    app = Gateway()
    patient = Timeouts(connect=30, first_byte=30, idle=30)
    upstream = Upstream("svc", [url], timeouts=patient, limits=limits or Limits())
    app.forward("/svc/{path:path}", upstream=upstream, allow=anyone)
    return app


async def refused(port: int) -> None:
    """Come back once nobody listens on ``port``: from then on, the shutdown has begun on every connection."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            return
        writer.close()


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no"], ids=["asked", "answering"])
async def test_a_request_in_flight_survives_the_shutdown(engine: Engine, begun: bytes) -> None:
    go_on = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(begun)
        await go_on.wait()
        await conversation.say(OK.removeprefix(begun))

    async with ScriptedUpstream(script) as upstream, serving(forwarding(upstream.url), engine) as gateway:
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET /svc/x HTTP/1.1\r\nhost: g\r\n\r\n")
        await until(lambda: len(upstream.requests) == 1)
        if begun:
            begin = await reader.readexactly(12)
            assert begin == b"HTTP/1.1 200"
        gateway.stop()
        await refused(gateway.port)
        assert await idle.read() == b""
        go_on.set()
        if begun:
            assert (await reader.read()).endswith(b"\r\n\r\nok")
        else:
            got = await read_answer(reader, bodyless=False)
            assert (got.status, got.body, got.header(b"connection")) == (200, b"ok", [b"close"])
            assert await reader.read() == b""
        writer.close()
        idle_writer.close()


async def test_an_upload_in_flight_survives_the_shutdown(engine: Engine) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(forwarding(upstream.url), engine) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /svc/x HTTP/1.1\r\nhost: g\r\ncontent-length: 8\r\n\r\nhalf")
        await until(lambda: len(upstream.requests) == 1)
        gateway.stop()
        await refused(gateway.port)
        writer.write(b"more")
        got = await read_answer(reader, bodyless=False)
        assert (got.status, got.body) == (200, b"ok")
        assert await reader.read() == b""
        writer.close()


async def test_a_service_that_is_down_comes_back_without_a_restart(engine: Engine) -> None:
    async def always(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(OK)
        writer.close()

    # Bound, and not listened on yet: nobody else can have the port, and who connects is refused.
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    port: int = reserved.getsockname()[1]
    async with serving(forwarding(f"http://127.0.0.1:{port}"), engine) as gateway:
        down = await gateway.client.get("/svc/x")
        assert (down.status_code, down.json()["detail"]) == (503, "Service is unavailable.")
        server = await asyncio.start_server(always, sock=reserved)
        try:
            assert (await gateway.client.get("/svc/x")).content == b"ok"
        finally:
            server.close()


async def test_others_keep_working_while_one_service_is_down(engine: Engine) -> None:
    async with ScriptedUpstream(saying(OK)) as well:
        app = forwarding(well.url)
        app.forward("/down/{path:path}", upstream=Upstream("down", [DOWN]), allow=anyone)
        async with serving(app, engine) as gateway:
            answers = await asyncio.gather(gateway.client.get("/down/1"), gateway.client.get("/svc/1"))
    assert [answer.status_code for answer in answers] == [503, 200]


async def test_nobody_waits_where_waiting_is_not_allowed(engine: Engine) -> None:
    release = asyncio.Event()

    async def held(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await release.wait()
            await conversation.say(OK)

    app_limits = Limits(connections=1, waiting=0)
    async with (
        ScriptedUpstream(held) as upstream,
        serving(forwarding(upstream.url, limits=app_limits), engine) as gateway,
    ):
        first = asyncio.create_task(gateway.client.get("/svc/1"))
        await until(lambda: len(upstream.requests) == 1)
        second = await gateway.client.get("/svc/2")
        assert (second.status_code, second.json()["code"]) == (503, "pool_exhausted")
        release.set()
        assert (await first).content == b"ok"
        assert (await gateway.client.get("/svc/3")).content == b"ok"


async def test_a_unix_socket_serves_as_a_target(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "u.sock"
    async with (
        ScriptedUpstream(saying(OK), path=str(path)) as upstream,
        serving(forwarding(upstream.url), engine) as gateway,
    ):
        assert (await gateway.client.get("/svc/x")).content == b"ok"


@pytest.mark.parametrize("connections", [128, 3])
async def test_two_hundred_clients_never_see_one_anothers_answers(engine: Engine, connections: int) -> None:
    async def echoes(conversation: Conversation) -> None:
        while True:
            content = (await conversation.request()).partition(b"\r\n\r\n")[2]
            await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content))

    async def client(gateway: Served, name: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        for turn in range(5):
            content = f"client {name} turn {turn}".encode() * (1 + name % 7)
            writer.write(b"POST /svc/x HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content))
            got = await read_answer(reader, bodyless=False)
            assert (got.status, got.body) == (200, content)
        writer.close()

    limits = Limits(connections=connections, waiting=256)
    async with (
        ScriptedUpstream(echoes) as upstream,
        serving(forwarding(upstream.url, limits=limits), engine) as gateway,
        asyncio.TaskGroup() as group,
    ):
        for name in range(200):
            group.create_task(client(gateway, name))


async def test_without_auth_a_token_is_the_services_own(engine: Engine) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(forwarding(upstream.url), engine) as gateway:
        got = await gateway.client.get("/svc/x", headers={"authorization": "Basic eDp5", "request-user-id": "1"})
        assert got.content == b"ok"
        assert b"authorization: Basic eDp5\r\n" in upstream.requests[0]
        assert b"request-user" not in upstream.requests[0]
