"""White space behind a field value is no part of it (RFC 9110 section 5.5), whoever reads the value and whatever serves."""

from time import time
from typing import Annotated, Any

import pytest
from fastapi import Header
from pydantic import BaseModel

from limen import Gateway, Upstream, anyone, signed_in
from limen.auth import Jwt
from limen.auth.jwt_live import issue
from limen.testing import Conversation, ScriptedUpstream
from plain_asgi import http_scope
from serving import serving

AUTH = Jwt("k" * 40)
BLANKS = (b" ", b"\t", b" \t", b"\t \t ")
JSON = b"Content-Length: 7\r\nContent-Type: application/json"
CHUNKED = b'7\r\n{"a":1}\r\n0\r\n\r\n'

HEADS: dict[str, tuple[bytes, bytes, bytes, int]] = {
    "authorization": (b"GET /signed", b"Authorization: Bearer TOKEN%s", b"", 200),
    "expect": (b"POST /f/x", b"Content-Length: 0\r\nExpect: 100-continue%s", b"", 200),
    "content-length": (b"POST /f/x", b"Content-Length: 7%s", b"1234567", 200),
    "too long": (b"POST /small", b"Content-Length: 7%s", b"1234567", 413),
    "content-encoding": (b"POST /declared", JSON + b"\r\nContent-Encoding: identity%s", b'{"a":1}', 200),
    "content-type": (b"POST /declared", JSON + b"%s", b'{"a":1}', 200),
    "max-forwards": (b"OPTIONS /f/x", b"Max-Forwards: 0%s", b"", 204),
    "a declared one": (b"GET /header", b"X-S: abc%s", b"", 200),
    "one of a local endpoint": (b"GET /local", b"X-S: abc%s", b"", 200),
    "x-request-id": (b"GET /nothing", b"X-Request-Id: r-1%s", b"", 404),
}


def head(name: str, blank: bytes, token: bytes) -> bytes:
    """Return a request with ``blank`` behind the value, and behind those of Host and Connection."""
    begins, lines, content, _ = HEADS[name]
    common = b" HTTP/1.1\r\nHost: g%s\r\nConnection: close%s\r\n"
    return (begins + common + lines + b"\r\n\r\n" + content).replace(b"TOKEN", token).replace(b"%s", blank)


class Form(BaseModel):
    """A declared body."""

    a: int


async def service(conversation: Conversation) -> None:
    """Answer each request."""
    while True:
        head = await conversation.head()
        if b"chunked" in head:
            await conversation.reader.readuntil(b"0\r\n\r\n")
        elif b"content-length: 7" in head:
            await conversation.reader.readexactly(7)
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def gateway(url: str) -> Gateway:
    """Return one whose routes read values of several headers."""
    app = Gateway(auth=AUTH)
    svc = Upstream("svc", [url])

    @app.post("/declared", upstream=svc, allow=anyone)
    def declared(form: Form) -> None: ...

    @app.get("/header", upstream=svc, allow=anyone)
    def header(x_s: Annotated[str | None, Header(pattern="^[a-z]+$")] = None) -> None: ...

    @app.get("/signed", upstream=svc, allow=signed_in)
    def signed() -> None: ...

    @app.get("/local")
    def local(x_s: Annotated[str, Header(pattern="^[a-z]+$")]) -> str:
        return x_s

    del declared, header, signed, local
    app.forward("/f/{path:path}", upstream=svc, allow=anyone)
    app.forward("/small", upstream=svc, allow=anyone, max_body=6)
    return app


@pytest.mark.parametrize("name", HEADS)
async def test_white_space_around_a_value_changes_nothing(name: str) -> None:
    status = HEADS[name][-1]
    token = issue(AUTH, 7, "default", time()).encode()
    async with ScriptedUpstream(service) as upstream, serving(gateway(upstream.url)) as served:
        for blank in (b"", *BLANKS):
            got = await served.raw(head(name, blank, token))
            assert (int(got[9:12]), blank) == (status, blank)
            if name == "x-request-id":
                assert b"\r\nx-request-id: r-1\r\n" in got


async def test_a_coding_with_a_tab_behind_it_is_refused_before_the_service_hears_of_it() -> None:
    """The parser agrees with blanks alone: what it refuses later must not have been served by then."""
    begins = b"POST /f/x HTTP/1.1\r\nHost: g\r\nConnection: close\r\nTransfer-Encoding: chunked%s\r\n\r\n" + CHUNKED
    async with ScriptedUpstream(service) as upstream, serving(gateway(upstream.url)) as served:
        for blank in (b"", b" ", b"   "):
            assert (await served.raw(begins.replace(b"%s", blank))).startswith(b"HTTP/1.1 200 ")
        before = len(upstream.requests)
        for blank in (b"\t", b" \t", b"\t "):
            assert (await served.raw(begins.replace(b"%s", blank))).startswith(b"HTTP/1.1 400 ")
        assert len(upstream.requests) == before


async def test_white_space_that_another_server_keeps_changes_nothing() -> None:
    """As plain uvicorn does."""
    token = issue(AUTH, 7, "default", time()).encode()
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async with ScriptedUpstream(service) as upstream:
        for blank in (b"", *BLANKS):
            headers = [(b"host", b"g"), (b"authorization", b"Bearer " + token + blank)]
            scope = http_scope("GET", "/signed", headers)
            app = gateway(upstream.url)
            await app(scope, receive, send)
            await app.active_config().runtime.aclose()
    assert [message["status"] for message in sent if "status" in message] == [200] * 5
