"""Several requests on one connection: their order, who answers each, and what the end of the connection means for each."""

import asyncio
import contextlib
import logging
import socket
import struct
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request, Response

from limen import Gateway, Timeouts, Upstream, anyone, signed_in
from limen.auth import Jwt
from limen.testing import Conversation, ScriptedUpstream, saying
from serving import serving, until
from tokens import SECRET


def answer(text: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text)


def build(url: str, auth: Jwt | None = None) -> Gateway:
    app = Gateway(auth=auth)
    app.forward("/svc/{path:path}", upstream=Upstream("svc", [url]), allow=anyone)

    @app.get("/local")
    async def local() -> str:
        return "local"

    del local
    return app


def get(path: bytes, *more: bytes) -> bytes:
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"host: g", *more, b"", b""])


async def test_pipelined_requests_are_answered_in_order_whoever_answers() -> None:
    async with (
        ScriptedUpstream(saying(answer(b"one"), answer(b"three"))) as upstream,
        serving(build(upstream.url)) as gateway,
    ):
        got = await gateway.raw(
            get(b"/svc/1")
            + get(b"/local")
            + get(b"/svc/3")
            + get(b"/nothing")
            + get(b"/svc/../x")
            + get(b"/local", b"connection: close")
        )
    places = [got.index(part) for part in (b"one", b'"local"', b"three", b"not_found", b"bad_path")]
    assert places == sorted(places)
    assert got.count(b"HTTP/1.1 ") == 6
    assert got.endswith(b'"local"')


async def test_an_application_that_is_no_gateway_gets_every_header_of_every_request() -> None:
    app = FastAPI()

    @app.get("/echo")
    async def echo(request: Request) -> str | None:
        return request.headers.get("x-number")

    del echo
    async with serving(app) as served:
        for number in ("1", "2", "3"):
            assert (await served.client.get("/echo", headers={"x-number": number})).json() == number


async def test_a_thousand_pipelined_refusals_are_answered() -> None:
    async with ScriptedUpstream(saying()) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.raw(get(b"/svc/a//b") * 999 + get(b"/svc/a//b", b"connection: close"))
    assert got.count(b"HTTP/1.1 400 ") == 1000


async def test_bodies_of_pipelined_requests_stay_apart() -> None:
    seen: list[bytes] = []

    async def script(conversation: Conversation) -> None:
        while True:
            seen.append((await conversation.request()).partition(b"\r\n\r\n")[2])
            await conversation.say(answer(b"ok"))

    def post(content: bytes, *more: bytes) -> bytes:
        lines = [b"POST /svc/x HTTP/1.1", b"host: g", b"content-length: %d" % len(content), *more, b"", content]
        return b"\r\n".join(lines)

    async with ScriptedUpstream(script) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.raw(post(b"first") + post(b"second" * 20_000) + post(b"third", b"connection: close"))
    assert got.count(b"HTTP/1.1 200 ") == 3
    assert seen == [b"first", b"second" * 20_000, b"third"]


async def test_an_old_client_gets_an_answer_that_ends_with_the_connection() -> None:
    async with ScriptedUpstream(saying(answer(b"ok"))) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.raw(b"GET /svc/x HTTP/1.0\r\nhost: g\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in got
    assert got.endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("framing", [b"content-length: 4", b"transfer-encoding: chunked"])
async def test_a_client_that_waits_for_100_gets_it_before_its_body(framing: bytes) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.readuntil(b"body")
        await conversation.say(answer(b"ok"))

    async with ScriptedUpstream(script) as upstream, serving(build(upstream.url)) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /svc/x HTTP/1.1\r\nhost: g\r\nexpect: 100-continue\r\n" + framing + b"\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body" if framing.startswith(b"c") else b"4\r\nbody\r\n0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(2) == b"ok"
        writer.close()
    assert b"expect" not in upstream.requests[0]


async def test_trailers_never_become_headers(engine: str) -> None:
    """uvicorn itself adds trailers to the headers of a request that has not begun; identity is safe from that too."""

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.readuntil(b"0\r\n\r\n")
        await conversation.say(answer(b"ok"))

    async with ScriptedUpstream(script) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.raw(
            b"POST /svc/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
            b"4\r\nbody\r\n0\r\nrequest-user-id: 1\r\nx-trailer: 1\r\n\r\n"
        )
    assert got.endswith(b"ok")
    assert b"request-user-id" not in upstream.requests[0]
    assert engine == "asgi" or b"trailer" not in upstream.requests[0]


async def test_a_body_that_stops_coming_is_408() -> None:
    async def script(conversation: Conversation) -> None:
        with contextlib.suppress(ConnectionError):
            await conversation.head()
            await conversation.reader.read()

    app = Gateway()
    timeouts = Timeouts(idle=0.2)

    async with ScriptedUpstream(script) as upstream:
        service = Upstream("svc", [upstream.url], timeouts=timeouts)
        app.forward("/svc", upstream=service, allow=anyone)

        @app.post("/declared", upstream=service, allow=anyone)
        def declared(numbers: list[int]) -> None: ...

        del declared
        async with serving(app) as gateway:
            for path in (b"/svc", b"/declared"):
                head = (
                    b"POST "
                    + path
                    + b" HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
                )
                got = await gateway.raw(head + b"[1,")
                assert got.startswith(b"HTTP/1.1 408 "), got
                assert got.count(b"connection: close") == 1
                assert b'"code":"request_timeout"' in got


async def test_a_body_that_is_too_long_is_refused_when_it_is_its_turn() -> None:
    """Its length is known before the answer to the request in front of it is: it must not take that one's place."""
    release = asyncio.Event()

    async def held(conversation: Conversation) -> None:
        await conversation.request()
        await release.wait()
        await conversation.say(answer(b"first"))
        with contextlib.suppress(ConnectionError):
            await conversation.reader.read()

    app = Gateway()
    async with ScriptedUpstream(held) as upstream:
        service = Upstream("svc", [upstream.url])
        app.forward("/get", upstream=service, allow=anyone)
        app.forward("/post", upstream=service, allow=anyone, max_body=8)
        async with serving(app) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(get(b"/get"))
            await until(lambda: len(upstream.requests) == 1)
            writer.write(b"POST /post HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n")
            writer.write(b"10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n")
            await writer.drain()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.2)
            release.set()
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(5) == b"first"
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
            writer.close()
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("engine", ["direct"], indirect=True)
async def test_pipelined_requests_of_a_client_that_leaves_are_all_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """uvicorn itself tells only the newest of them, and the one that runs never learns."""

    async def waits(conversation: Conversation) -> None:
        await conversation.request()
        with contextlib.suppress(ConnectionError):
            await conversation.reader.read()

    caplog.set_level(logging.INFO, "limen.access")
    async with ScriptedUpstream(waits) as upstream, serving(build(upstream.url)) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(get(b"/svc/1") + get(b"/svc/2"))
        await until(lambda: len(upstream.requests) == 1)
        writer.close()
        await until(lambda: caplog.text.count(" 499 ") >= 1)
        assert len(upstream.requests) == 1


async def breaks_off(conversation: Conversation) -> None:
    """Begin an answer, and close."""
    await conversation.request()
    await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    conversation.writer.close()


IN_LINE = get(b"/svc/2", b"x-request-id: second") + get(b"/local", b"x-request-id: third") + get(b"/a/../b")


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of the access log."""
    return [record.getMessage() for record in caplog.records if record.name == "limen.access"]


async def test_requests_behind_a_cut_answer_are_logged_with_its_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is the gateway that closes: the client has not left."""
    caplog.set_level(logging.INFO, "limen.access")
    async with ScriptedUpstream(breaks_off) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.raw(get(b"/svc/1", b"x-request-id: first") + IN_LINE)
        assert got.endswith(b"\r\n\r\nhalf")
        await until(lambda: len(logged(caplog)) == 4)
    assert all("code=upstream_closed" in line for line in logged(caplog))
    assert [line.split()[2] for line in logged(caplog)] == ["200", "502", "502", "502"]
    assert len(upstream.requests) == 1


async def test_requests_in_line_at_a_stop_are_logged_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """The answer that runs is the last one: ``limen.cli.server`` makes it say so."""
    release = asyncio.Event()

    async def held(conversation: Conversation) -> None:
        await conversation.request()
        await release.wait()
        await conversation.say(answer(b"ok"))

    caplog.set_level(logging.INFO, "limen.access")
    async with ScriptedUpstream(held) as upstream, serving(build(upstream.url)) as gateway:
        request = asyncio.create_task(gateway.raw(get(b"/svc/1", b"x-request-id: first") + IN_LINE))
        await until(lambda: len(upstream.requests) == 1 and len(gateway.connections[0].requests.waiting) == 3)
        state = gateway.connections[0].server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        gateway.connections[0].requests.serving.keep_alive = False  # as the answer's head has it
        release.set()
        assert (await request).endswith(b"ok")
        await until(lambda: len(logged(caplog)) == 4)
    assert [line.split()[2] for line in logged(caplog)] == ["200", "503", "503", "503"]
    assert ["code=shut_down" in line for line in logged(caplog)] == [False, True, True, True]


async def test_requests_in_line_behind_a_refusal_at_a_stop_are_logged_with_the_stop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The refusal is whole: what it refuses has nothing to do with those behind it."""
    release = asyncio.Event()

    async def halves(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
        await release.wait()
        await conversation.say(b"k")

    caplog.set_level(logging.INFO, "limen.access")
    async with ScriptedUpstream(halves) as upstream:
        app = build(upstream.url, auth=Jwt(SECRET))
        app.forward("/mine", upstream=Upstream("mine", [upstream.url]), allow=signed_in)
        async with serving(app) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(get(b"/svc/1") + get(b"/mine") + IN_LINE)
            await reader.readuntil(b"\r\n\r\no")
            (connection,) = gateway.connections
            await until(lambda: len(connection.requests.waiting) == 4)
            state = connection.server_state
            state.default_headers = [*state.default_headers, (b"connection", b"close")]
            release.set()
            assert b"HTTP/1.1 401 " in await reader.read()
            writer.close()
            await until(lambda: len(logged(caplog)) == 5)
    assert [line.split()[2] for line in logged(caplog)] == ["200", "401", "503", "503", "503"]
    codes = ["token_missing" if "code=token_missing" in line else "code=shut_down" in line for line in logged(caplog)]
    assert codes == [False, "token_missing", True, True, True]


async def test_requests_behind_a_last_answer_are_not_blamed_on_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = asyncio.Event()
    app = Gateway()

    @app.get("/last")
    async def last(response: Response) -> str:
        await release.wait()
        response.headers["connection"] = "close"
        return "last"

    del last
    caplog.set_level(logging.INFO, "limen.access")
    async with serving(app) as gateway:
        request = asyncio.create_task(gateway.raw(get(b"/last") * 2))
        await until(lambda: bool(gateway.connections) and len(gateway.connections[0].requests.waiting) == 1)
        release.set()
        assert (await request).endswith(b'"last"')
        await until(lambda: len(logged(caplog)) == 2)
    assert "code=shut_down" in logged(caplog)[1]
    assert "the answer before was the last on its connection" in logged(caplog)[1]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429])
async def test_requests_behind_a_refusal_are_cancelled_when_the_client_resets(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The refusal is whole and has closed nothing; an endpoint may refuse with a status that is no kind of fault."""
    app = Gateway()
    refused = False

    @app.get("/refuses")
    async def refuses() -> None:
        nonlocal refused
        refused = True
        raise HTTPException(status, "x" * 2_000_000)

    del refuses
    caplog.set_level(logging.INFO, "limen.access")
    async with serving(app) as gateway:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", gateway.port))
        await loop.sock_sendall(client, get(b"/refuses") * 8)
        await until(lambda: refused and gateway.connections[0].input.write_paused)
        (connection,) = gateway.connections
        in_line = len(connection.requests.waiting)
        assert in_line
        bodies = connection.state.bodies
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await until(lambda: not gateway.connections)
        assert not connection.state.addresses
        assert (bodies.total, len(bodies)) == (0, 0)
    told = logged(caplog)
    assert sum("code=client_closed" in line for line in told) >= in_line
    assert len({line.partition("request_id=")[2].split()[0] for line in told}) == len(told) == 8


async def test_a_failure_at_the_end_of_a_connection_leaves_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither is the connection counted for ever, nor are those in line behind the one that fails."""

    async def waits(conversation: Conversation) -> None:
        await conversation.request()
        with contextlib.suppress(ConnectionError):
            await conversation.reader.read()

    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context.get("exception")))
    calls = 0

    def fails_once() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("no id")
        return f"id-{calls}"

    caplog.set_level(logging.INFO, "limen.access")
    async with ScriptedUpstream(waits) as upstream, serving(build(upstream.url)) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(get(b"/svc/1") + get(b"/local") * 3)
        await until(lambda: len(upstream.requests) == 1 and len(gateway.connections[0].requests.waiting) == 3)
        (connection,) = gateway.connections
        connection.state.fresh = fails_once  # each of those in line gets an id when it is dropped
        writer.close()
        await until(lambda: not connection.requests.waiting)
        assert gateway.connections == []
        assert not connection.state.addresses
        assert connection.state.running == 0
        await until(lambda: len(logged(caplog)) == 3)
    assert [str(one) for one in failures] == ["no id"]


async def test_a_request_in_flight_is_answered_when_the_server_stops() -> None:
    release = asyncio.Event()

    async def held(conversation: Conversation) -> None:
        await conversation.request()
        await release.wait()
        await conversation.say(answer(b"ok"))

    async with ScriptedUpstream(held) as upstream:
        async with serving(build(upstream.url)) as gateway:
            request = asyncio.create_task(gateway.raw(get(b"/svc/1")))
            await until(lambda: len(upstream.requests) == 1)
            asyncio.get_running_loop().call_later(0.2, release.set)
        got = await request
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"ok")


async def test_a_fast_service_waits_for_a_slow_client() -> None:
    size = 64 << 20
    sent = 0

    async def pours(conversation: Conversation) -> None:
        nonlocal sent
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        with contextlib.suppress(ConnectionError):
            while sent < size:
                await conversation.say(b"x" * 65536)
                sent += 65536

    async with ScriptedUpstream(pours) as upstream, serving(build(upstream.url)) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(get(b"/svc/1"))
        await reader.readuntil(b"\r\n\r\n")
        # Other requests take their turns meanwhile; what the kernel does not hold, nobody holds.
        for _ in range(50):
            assert (await gateway.client.get("/local")).status_code == 200
        assert sent < size // 2
        got = 0
        while got < size:
            got += len(await reader.read(1 << 20))
        assert got == size
        writer.close()


async def test_a_fast_client_waits_for_a_slow_service() -> None:
    size = 64 << 20
    go_on = asyncio.Event()

    async def sips(conversation: Conversation) -> None:
        await conversation.head()
        await go_on.wait()
        await conversation.reader.readexactly(size)
        await conversation.say(answer(b"ok"))

    async with ScriptedUpstream(sips) as upstream, serving(build(upstream.url)) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /svc/1 HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n" % size)
        sent = 0

        async def send() -> None:
            nonlocal sent
            while sent < size:
                writer.write(b"x" * 65536)
                sent += 65536
                await writer.drain()

        sending = asyncio.create_task(send())
        await until(lambda: len(upstream.requests) == 1)
        for _ in range(50):
            assert (await gateway.client.get("/local")).status_code == 200
        assert sent < size // 2
        go_on.set()
        await sending
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
