"""A client of HTTP/1.0 gets no chunks, whoever answers, and can tell a cut answer from a whole one."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from fastapi.responses import StreamingResponse

from answers import GOOD
from limen import Gateway, Timeouts, Upstream, anyone
from limen.testing import Conversation, Script, ScriptedUpstream, saying
from serving import serving

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"
PLAIN = pytest.mark.parametrize("plain", [False, True], ids=["guarded", "plain uvicorn"])


@pytest.fixture(autouse=True)
def no_trace(caplog: pytest.LogCaptureFixture) -> None:
    """Have uvicorn put nothing of its own before the application, as it does where it logs each message."""
    caplog.set_level(logging.INFO, "uvicorn.error")


def build(url: str) -> Gateway:
    app = Gateway()
    service = Upstream("svc", [url], timeouts=Timeouts(idle=0.2))
    app.forward("/svc/{path:path}", upstream=service, allow=anyone)

    async def parts(*, breaks: bool) -> AsyncIterator[bytes]:
        yield b"hel"
        if breaks:
            raise RuntimeError("in the midst of it")
        yield b"lo"

    @app.api_route("/local/{how}", methods=["GET", "HEAD"])
    async def local(how: str) -> StreamingResponse:
        headers = {"transfer-encoding": "chunked"} if how == "framed" else None
        return StreamingResponse(parts(breaks=how == "breaks"), headers=headers, media_type="text/plain")

    del local
    return app


@contextlib.asynccontextmanager
async def gateway(*scripts: Script, plain: bool) -> AsyncGenerator[int]:
    """Serve before a service with ``scripts``; yield the port."""
    async with ScriptedUpstream(*scripts) as upstream, serving(build(upstream.url), plain=plain) as served:
        yield served.port


async def ask(port: int, start: bytes) -> tuple[bytes, bytes]:
    """Return head and content, up to the end of the connection; a reset is raised."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start + b" HTTP/1.0\r\nHost: g\r\n\r\n")
    try:
        head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.transport.abort()
    assert b"transfer-encoding" not in head.lower()
    assert b"\r\nconnection: close" in head
    return head, content


@PLAIN
@pytest.mark.parametrize("path", [b"/svc/x", b"/local/streams", b"/local/framed"])
async def test_content_without_a_length_ends_with_its_connection(plain: bool, path: bytes) -> None:
    async with gateway(saying(CHUNKED + b"0\r\n\r\n"), saying(UNTIL_CLOSE), plain=plain) as port:
        for _ in range(2):
            assert (await ask(port, b"GET " + path))[1] == b"hello"
        head, content = await ask(port, b"HEAD /local/streams")
        assert (head.split(b"\r\n")[0], content) == (b"HTTP/1.1 200 OK", b"")


@PLAIN
@pytest.mark.parametrize("name", [name for name, case in GOOD.items() if case.method == b"GET"])
async def test_every_good_answer_reads_the_same_over_http10(plain: bool, name: str) -> None:
    async with gateway(saying(GOOD[name].answer), plain=plain) as port:
        head, content = await ask(port, b"GET /svc/x")
    assert head.startswith(b"HTTP/1.1 %d " % GOOD[name].status)
    assert content == GOOD[name].content


async def _silent(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.say(CHUNKED)
    await conversation.reader.read()


@PLAIN
@pytest.mark.parametrize("path", [b"/svc/x", b"/local/breaks"])
async def test_an_answer_that_is_cut_does_not_look_whole(plain: bool, path: bytes) -> None:
    async with gateway(saying(CHUNKED), saying(CHUNKED + b"zz\r\n"), _silent, plain=plain) as port:
        for _ in range(3):
            with pytest.raises(ConnectionResetError):
                await ask(port, b"GET " + path)
