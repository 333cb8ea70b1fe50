"""Services that are down, slow, rude or broken: one clear status each, and the way back without a restart."""

import asyncio
import contextlib
import logging
import socket

import pytest

from limen import Gateway, Limits, Timeouts, Upstream, anyone
from limen.testing import Conversation, Script, ScriptedUpstream, saying
from serving import Served, serving, until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
QUICK = Timeouts(connect=1, first_byte=0.2, idle=0.2)


def forwarding(url: str, *, timeouts: Timeouts = QUICK, limits: Limits | None = None) -> Gateway:
    app = Gateway()
    upstream = Upstream("svc", [url], timeouts=timeouts, limits=limits or Limits())
    app.forward("/svc/{path:path}", upstream=upstream, allow=anyone)
    return app


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def silent(conversation: Conversation) -> None:
    await conversation.request()
    await asyncio.Event().wait()


async def resetting(conversation: Conversation) -> None:
    await conversation.request()
    conversation.reset()


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (silent, 504, "answer_timeout"),
        (resetting, 502, "upstream_closed"),
        (saying(b""), 502, "upstream_closed"),
        (saying(b"HTTP/1.1 200 OK\r\ncontent-le"), 502, "upstream_closed"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), 502, "upstream_protocol"),
        (saying(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy"), 502, "upstream_protocol"),
        (
            saying(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"),
            502,
            "upstream_protocol",
        ),
        (saying(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), 502, "upstream_protocol"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 70000 + b"\r\n\r\n"), 502, "upstream_protocol"),
        (saying(b"HTTP/1.1 100 Continue\r\n\r\n" * 40 + OK), 502, "upstream_protocol"),
    ],
)
async def test_a_broken_answer(script: Script, status: int, code: str) -> None:
    async with ScriptedUpstream(script) as upstream, serving(forwarding(upstream.url)) as gateway:
        got = await gateway.client.get("/svc/x")
        assert (got.status_code, got.json()["code"]) == (status, code)
        assert got.headers["content-type"] == "application/problem+json"


async def test_a_service_that_is_down_is_503_and_comes_back_without_a_restart() -> None:
    port = free_port()
    async with serving(forwarding(f"http://127.0.0.1:{port}")) as gateway:
        down = await gateway.client.get("/svc/x")
        assert (down.status_code, down.json()["detail"]) == (503, "Service is unavailable.")
        server = await asyncio.start_server(_always_ok, "127.0.0.1", port)
        try:
            assert (await gateway.client.get("/svc/x")).content == b"ok"
        finally:
            server.close()
        # The kept connection still serves; what matters is that a fresh one is refused in the same words again.
    async with serving(forwarding(f"http://127.0.0.1:{port}")) as gateway:
        assert (await gateway.client.get("/svc/x")).status_code == 503


async def _always_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
    writer.close()


async def test_a_connection_that_died_while_idle_is_replaced_unseen() -> None:
    async def dies_on_the_second(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(OK)
        await conversation.head()
        conversation.reset()

    async with (
        ScriptedUpstream(dies_on_the_second, saying(OK)) as upstream,
        serving(forwarding(upstream.url)) as gateway,
    ):
        assert (await gateway.client.get("/svc/1")).content == b"ok"
        assert (await gateway.client.get("/svc/2")).content == b"ok"
        assert upstream.connections == 2


async def test_what_is_not_idempotent_is_not_sent_twice() -> None:
    async def dies_on_the_second(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(OK)
        await conversation.head()
        conversation.reset()

    async with (
        ScriptedUpstream(dies_on_the_second, saying(OK)) as upstream,
        serving(forwarding(upstream.url)) as gateway,
    ):
        assert (await gateway.client.post("/svc/1")).content == b"ok"
        assert (await gateway.client.post("/svc/2")).status_code == 502
        assert upstream.connections == 1


async def test_a_truncated_answer_never_looks_whole() -> None:
    truncated = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this"
    async with ScriptedUpstream(saying(truncated)) as upstream, serving(forwarding(upstream.url)) as gateway:
        got = await gateway.get(b"/svc/x")
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"content-length: 100" in head
    assert len(body) < 100


async def test_a_truncated_chunked_answer_has_no_last_chunk() -> None:
    truncated = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nonly\r\n"
    async with ScriptedUpstream(saying(truncated)) as upstream, serving(forwarding(upstream.url)) as gateway:
        got = await gateway.get(b"/svc/x")
    assert b"transfer-encoding: chunked" in got
    assert not got.endswith(b"0\r\n\r\n")


async def test_silence_within_an_answer_cuts_it() -> None:
    async def stalls(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await asyncio.Event().wait()

    async with ScriptedUpstream(stalls) as upstream, serving(forwarding(upstream.url)) as gateway:
        got = await gateway.get(b"/svc/x")
    assert got.endswith(b"half")


async def test_the_total_time_bounds_an_answer_that_trickles() -> None:
    async def trickles(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            await conversation.say(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)  # the trickle itself

    timeouts = Timeouts(first_byte=5, idle=5, total=0.3)
    async with ScriptedUpstream(trickles) as upstream, serving(forwarding(upstream.url, timeouts=timeouts)) as gateway:
        got = await gateway.get(b"/svc/x")
    assert not got.endswith(b"0\r\n\r\n")


async def test_a_full_pool_answers_503_and_serves_again_afterwards() -> None:
    release = asyncio.Event()

    async def held(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await release.wait()
            await conversation.say(OK)

    limits = Limits(connections=1, waiting=0)
    timeouts = Timeouts(connect=5, first_byte=5)
    async with (
        ScriptedUpstream(held) as upstream,
        serving(forwarding(upstream.url, timeouts=timeouts, limits=limits)) as gateway,
    ):
        first = asyncio.create_task(gateway.client.get("/svc/1"))
        await until(lambda: len(upstream.requests) == 1)
        refused = await gateway.client.get("/svc/2")
        assert (refused.status_code, refused.json()["code"]) == (503, "pool_exhausted")
        release.set()
        assert (await first).content == b"ok"
        assert (await gateway.client.get("/svc/3")).content == b"ok"


async def test_a_client_that_leaves_frees_the_connection_and_is_recorded_as_499(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gone = asyncio.Event()

    async def waits(conversation: Conversation) -> None:
        await conversation.request()
        with contextlib.suppress(ConnectionError):
            await conversation.reader.read()
        gone.set()

    caplog.set_level(logging.INFO, "limen.access")
    timeouts = Timeouts(first_byte=30)
    async with ScriptedUpstream(waits) as upstream, serving(forwarding(upstream.url, timeouts=timeouts)) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET /svc/x HTTP/1.1\r\nhost: g\r\n\r\n")
        await until(lambda: len(upstream.requests) == 1)
        writer.close()
        await gone.wait()
        await until(lambda: " 499 " in caplog.text)
        del reader
    assert "code=client_closed" in caplog.text


async def test_a_client_that_leaves_while_uploading_frees_the_connection() -> None:
    gone = asyncio.Event()

    async def reads(conversation: Conversation) -> None:
        await conversation.head()
        with contextlib.suppress(ConnectionError):
            await conversation.reader.read()
        gone.set()

    async with ScriptedUpstream(reads) as upstream, serving(forwarding(upstream.url)) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /svc/x HTTP/1.1\r\nhost: g\r\ncontent-length: 1000\r\n\r\nhalf")
        await until(lambda: len(upstream.requests) == 1)
        writer.close()
        await gone.wait()


async def test_an_early_answer_reaches_a_client_that_is_still_sending() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"

    async def refuses(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(refusal)

    async with ScriptedUpstream(refuses) as upstream, serving(forwarding(upstream.url)) as gateway:
        got = await gateway.raw(
            b"POST /svc/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-length: 1000\r\n\r\nhalf"
        )
    assert got.startswith(b"HTTP/1.1 403 ")
    assert got.endswith(b"no")


async def test_others_keep_working_while_one_service_is_down() -> None:
    async with ScriptedUpstream(saying(OK)) as well:
        app = forwarding(well.url)
        app.forward("/down/{path:path}", upstream=Upstream("down", [f"http://127.0.0.1:{free_port()}"]), allow=anyone)
        async with serving(app) as gateway:
            answers = await asyncio.gather(gateway.client.get("/down/1"), gateway.client.get("/svc/1"))
    assert [answer.status_code for answer in answers] == [503, 200]


async def test_two_hundred_clients_never_see_one_anothers_answers() -> None:
    async def echoes(conversation: Conversation) -> None:
        while True:
            content = (await conversation.request()).partition(b"\r\n\r\n")[2]
            await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content))

    async def client(gateway: Served, name: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        for turn in range(5):
            content = f"client {name} turn {turn}".encode() * (1 + name % 7)
            writer.write(b"POST /svc/x HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            assert await reader.readexactly(len(content)) == content
        writer.close()

    timeouts = Timeouts(connect=30, first_byte=30)
    async with (
        ScriptedUpstream(echoes) as upstream,
        serving(forwarding(upstream.url, timeouts=timeouts)) as gateway,
        asyncio.TaskGroup() as group,
    ):
        for name in range(200):
            group.create_task(client(gateway, name))
