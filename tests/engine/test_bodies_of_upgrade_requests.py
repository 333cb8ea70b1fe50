"""A body behind an upgrade offer is served or refused. It is never passed on empty, nor read as a request.

Java's HttpClient and others offer h2c with every first request (RFC 9110 section 7.8). uvicorn's own protocol loses the body.
"""

import pytest
from fastapi import Request
from pydantic import BaseModel

from conformance_answer import read_content
from limen import Gateway, Upstream, anyone
from limen.testing import Conversation, ScriptedUpstream
from serving import serving

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
SMUGGLED = b"GET /svc/smuggled HTTP/1.1\r\nHost: g\r\n\r\n"
JSON = b'{"name":"hello"}'
LAST = b"GET /local/not-read HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"


class Item(BaseModel):
    """A declared body."""

    name: str


def framed(content: bytes, *, chunked: bool) -> tuple[bytes, bytes]:
    """Return the header line and the bytes of ``content``."""
    if chunked:
        return b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    return b"Content-Length: %d\r\n\r\n" % len(content), content


@pytest.mark.parametrize("plain", [False, True], ids=["guarded", "plain uvicorn"])
@pytest.mark.parametrize("chunked", [False, True], ids=["its length known", "chunked"])
@pytest.mark.parametrize("apart", [False, True], ids=["in one", "apart"])
@pytest.mark.parametrize("path", [b"/svc/x", b"/items", b"/local/read", b"/local/not-read"])
@pytest.mark.parametrize("content", [JSON, SMUGGLED])
async def test_a_body_behind_an_upgrade_offer_is_served_or_refused(
    path: bytes, content: bytes, apart: bool, chunked: bool, plain: bool
) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(conversation: Conversation) -> None:
        while True:
            head = await conversation.head()
            seen.append((head.split(b" ")[1], await read_content(conversation.reader, head)))
            await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with ScriptedUpstream(script) as upstream:
        app = Gateway()
        service = Upstream("svc", [upstream.url])
        app.forward("/svc/{path:path}", upstream=service, allow=anyone)

        @app.post("/items", upstream=service, allow=anyone)
        def items(item: Item) -> None: ...

        @app.post("/local/read")
        async def read(request: Request) -> str:
            seen.append((b"/local/read", await request.body()))
            return ""

        @app.api_route("/local/not-read", methods=["GET", "POST"])
        async def not_read() -> str:
            return ""

        del items, read, not_read
        line, body = framed(content, chunked=chunked)
        head = b"POST " + path + b" HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n" + OFFER + line
        async with serving(app, plain=plain) as served:
            got = await served.raw(*((head, body, LAST) if apart else (head + body + LAST,)))
    status = int(got.split(b" ")[1])
    assert b"/svc/smuggled" not in [path for path, _ in seen]
    if path == b"/local/not-read":
        assert status == 200
        assert seen == []
    elif plain:
        assert (status, seen) == (501, [])
        assert got.count(b"HTTP/1.1 ") == 1
        assert b"\r\nconnection: close\r\n" in got
    elif path == b"/items" and content == SMUGGLED:
        assert (status, seen) == (422, [])
    else:
        assert (status, seen) == (200, [(path, content)])


@pytest.mark.parametrize("path", [b"/svc/x", b"/local/not-read"])
async def test_an_upgrade_offer_without_a_body_is_ignored(path: bytes) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with ScriptedUpstream(script) as upstream:
        app = Gateway()
        app.forward("/svc/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)

        @app.get("/local/not-read")
        async def not_read() -> str:
            return ""

        del not_read
        async with serving(app, plain=True) as served:
            got = await served.raw(b"GET " + path + b" HTTP/1.1\r\nHost: g\r\nConnection: close\r\n" + OFFER + b"\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")
