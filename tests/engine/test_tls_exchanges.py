"""Exchanges over TLS, on either side of the gateway: nothing of what is true without it changes, and no cut looks whole."""

import asyncio
import json
import logging

import pytest

from certificates import DAY, Authority
from engines import ONE_ENGINE
from limen import Gateway, Timeouts, Tls, Upstream, anyone
from limen.cli import server as cli_server
from limen.cli.tls import TlsFiles
from limen.testing import Conversation, ScriptedUpstream, flush_log
from services import ready
from serving import serving
from tls_clients import secured
from tls_service import TlsService
from tls_serving import serving_tls

pytestmark = pytest.mark.usefixtures("own_collector")

PIECE = b"x" * 65536
GET = b"GET /x HTTP/1.1\r\nhost: g\r\n\r\n"


def forwarding_gateway(url: str, tls: Tls | None = None) -> Gateway:
    app = Gateway()
    patient = Timeouts(connect=8, first_byte=8, idle=8)
    app.forward("/{path:path}", upstream=Upstream("svc", [url], tls=tls, timeouts=patient), allow=anyone)
    return app


async def test_connections_over_tls_are_kept_on_both_sides(authority: Authority) -> None:
    async with (
        ScriptedUpstream(ready, tls=authority.server()) as upstream,
        serving_tls(
            forwarding_gateway(upstream.url, Tls(ca=authority.path)), TlsFiles(*authority.pair("served"))
        ) as port,
        secured(port, authority.client()) as (reader, writer),
    ):
        for _ in range(3):
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(2) == b"ok"
        assert upstream.connections == 1
        assert b"\r\nx-forwarded-proto: https\r\n" in upstream.requests[0]


async def test_large_bodies_and_a_slow_reader(authority: Authority) -> None:
    count = 100

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.readexactly(count * len(PIECE))
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (count * len(PIECE)))
        for _ in range(count):
            await conversation.say(PIECE)
        await ready(conversation)

    async with (
        ScriptedUpstream(script, tls=authority.server()) as upstream,
        serving_tls(
            forwarding_gateway(upstream.url, Tls(ca=authority.path)), TlsFiles(*authority.pair("served"))
        ) as port,
        secured(port, authority.client()) as (reader, writer),
    ):
        writer.write(b"POST /x HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n" % (count * len(PIECE)))
        for _ in range(count):
            writer.write(PIECE)
            await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(count):
            assert await reader.readexactly(len(PIECE)) == PIECE
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\nok")
        assert upstream.connections == 1


async def test_a_client_that_leaves_frees_the_service(authority: Authority) -> None:
    freed = asyncio.Event()

    async def endless(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                await asyncio.sleep(0)  # a writer whose peer has left does not wait, and would never hear of it
                await conversation.say(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
        finally:
            freed.set()

    async with (
        ScriptedUpstream(endless, ready, tls=authority.server()) as upstream,
        serving_tls(
            forwarding_gateway(upstream.url, Tls(ca=authority.path)), TlsFiles(*authority.pair("served"))
        ) as port,
    ):
        async with secured(port, authority.client()) as (reader, writer):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(PIECE))
        await freed.wait()
        async with secured(port, authority.client()) as (reader, writer):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\nok")


@ONE_ENGINE
async def test_a_handshake_that_does_not_come_is_ended(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_server, "HANDSHAKE", 1.0)
    async with (
        ScriptedUpstream(ready) as upstream,
        serving_tls(forwarding_gateway(upstream.url), TlsFiles(*authority.pair("served"))) as port,
    ):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        async with secured(port, authority.client()) as (reader, writer):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\nok")
            for quiet, own in silent:
                assert await quiet.read() == b""
                own.close()
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\nok")


@pytest.mark.parametrize(
    ("names", "days", "cause"),
    [
        (("localhost",), 90, "unable to get local issuer certificate"),
        (("localhost",), -1, "certificate has expired"),
        (("elsewhere.example",), 90, "Hostname mismatch"),
    ],
)
async def test_an_untrusted_service_is_502_and_the_log_says_why(
    authority: Authority, caplog: pytest.LogCaptureFixture, names: tuple[str, ...], days: int, cause: str
) -> None:
    trusted = None if cause.startswith("unable") else Tls(ca=authority.path)
    async with (
        ScriptedUpstream(ready, tls=authority.server(*names, until=days * DAY)) as upstream,
        serving(forwarding_gateway(upstream.url, trusted)) as served,
    ):
        with caplog.at_level(logging.INFO, "limen.access"):
            answer = await served.raw(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            flush_log()
        assert upstream.requests == []
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502")
    problem = json.loads(content)
    assert problem["code"] == "upstream_tls"
    assert "certificate" not in content.decode()  # Proxy-Status has the class of the error, and no more
    (line,) = [record.getMessage() for record in caplog.records if record.name == "limen.access"]
    assert cause in line
    assert "code=upstream_tls" in line


@pytest.mark.parametrize("notify", [True, False], ids=["said", "cut"])
async def test_an_answer_cut_under_tls_does_not_look_whole(authority: Authority, notify: bool) -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\nhalf of an answer"
    async with (
        TlsService(authority.server(), answer, notify=notify) as service,
        serving(forwarding_gateway(service.url, Tls(ca=authority.path))) as served,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(GET)
        received = b""
        try:
            received = await reader.readuntil(b"0\r\n\r\n")
            whole = True
        except (asyncio.IncompleteReadError, ConnectionResetError):
            whole = False
        writer.close()
    assert whole is notify
    assert (b"half of an answer" in received) is notify
