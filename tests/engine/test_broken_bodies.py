"""A body that breaks off settles its exchange once, under one id: the same at the service, in the answer and in the log."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncGenerator

import pytest
from fastapi import Request
from pydantic import BaseModel

from limen import Gateway, Upstream, anyone
from limen.client.limits import ClientLimits
from limen.testing import Conversation, ScriptedUpstream, drained, flush_log
from serving import Served, serving

HEAD = b"POST %b HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n%b\r\n"
ROUTES = (b"/svc/x", b"/held", b"/local")
BREAKS = {
    "no size": (b"2\r\n{}\r\n", b"no size\r\n", "400 .* code=bad_body"),
    "at once": (b"", b"no size\r\n", "400 .* code=bad_body"),
    "extensions": (b"2\r\n{}\r\n", b"1;" + b"x" * 2000, "400 .* code=bad_body"),
    "silence": (b"2\r\n{}\r\n", b"", "408 .* code=request_timeout"),
}


class Item(BaseModel):
    """A declared body."""

    name: str


class Scene:
    """The gateway, the ids that have reached the service, and the access log."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.asked: asyncio.Queue[bytes] = asyncio.Queue()
        self.begun = asyncio.Event()

    async def script(self, conversation: Conversation) -> None:
        found = re.search(rb"x-request-id: (\S+)", await conversation.head())
        assert found is not None
        self.asked.put_nowait(found[1])
        await conversation.reader.read()


@contextlib.asynccontextmanager
async def scene() -> AsyncGenerator[Scene]:
    async with ScriptedUpstream() as upstream:
        app = Gateway(limits=ClientLimits(chunk_overhead=1000, body_silence=0.2))
        service = Upstream("svc", [upstream.url])
        app.forward("/svc/{path:path}", upstream=service, allow=anyone)

        @app.post("/held", upstream=service, allow=anyone)
        def held(item: Item) -> None: ...

        @app.post("/local")
        async def local(request: Request) -> int:
            made.begun.set()
            return len(await request.body())

        del held, local
        async with serving(app) as served:
            made = Scene(served)
            upstream.scripts[:] = [made.script]
            yield made
            await drained(app)


@pytest.mark.parametrize("named", [False, True], ids=["its own id", "the client's id"])
@pytest.mark.parametrize(("first", "then", "line"), BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize("path", ROUTES)
async def test_a_broken_body_is_one_log_line_with_one_id(
    path: bytes, first: bytes, then: bytes, line: str, named: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "limen.access")
    async with scene() as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.served.port)
        writer.write(HEAD % (path, b"X-Request-ID: r-1\r\n" if named else b"") + first + (b"" if first else then))
        asked: list[bytes] = []
        if first:
            if path == b"/svc/x":
                asked = [await found.asked.get()]
            elif path == b"/local":
                await found.begun.wait()
            writer.write(then)
        answer = await reader.read()
        writer.close()
    flush_log()
    (said,) = [one.getMessage() for one in caplog.records if one.name == "limen.access"]
    assert re.search(" " + line, said), said
    assert re.match(rb"HTTP/1.1 %b " % line[:3].encode(), answer), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    ids = {*re.findall(rb"x-request-id: (\S+)", answer), *re.findall(rb'"request_id":"([^"]+)"', answer), *asked}
    assert {one.decode() for one in ids} == set(re.findall(r"request_id=(\S+)", said))
    assert ids == {b"r-1"} if named else len(ids) == 1
    if asked:
        assert " route=/svc/{path:path} upstream=svc " in said, said
