"""Every answer, whoever makes it, has each default header field of the server exactly once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from conformance import json_answer
from limen import Gateway, Upstream, anyone, signed_in
from limen.auth import Jwt
from limen.testing import ScriptedUpstream, saying
from serving import serving

LINE = b"x-everywhere: 1"
JSON = b"content-type: application/json"


class Item(BaseModel):
    """A declared body, and a declared answer."""

    id: int


def refuses(answer: Any) -> Any:
    raise HTTPException(409, "no")


def build(url: str) -> Gateway:
    app = Gateway(auth=Jwt("0123456789abcdef0123456789abcdef-for-tests"))
    svc = app.group("", upstream=Upstream("svc", [url]), allow=anyone)
    app.forward("/passed", upstream=Upstream("svc", [url]), allow=anyone)

    @svc.get("/checked")
    def checked() -> Item: ...

    @svc.get("/hooked", after=refuses)
    def hooked() -> Item: ...

    @svc.get("/mine", allow=signed_in)
    def mine() -> None: ...

    @svc.post("/form", max_body=50)
    def form(item: Item) -> None: ...

    @app.get("/local")
    async def local() -> int:
        return 1

    @app.get("/streams")
    async def streams() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            await asyncio.sleep(0)
            yield b"b"

        return StreamingResponse(parts())

    @app.get("/fails")
    async def fails(request: Request) -> None:
        raise RuntimeError

    del checked, hooked, mine, form, local, streams, fails
    return app


def ask(method: str, path: str, *lines: bytes, body: bytes = b"") -> bytes:
    head = [f"{method} {path} HTTP/1.1".encode(), b"host: g", b"connection: close", *lines]
    if body:
        head.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*head, b"", body])


ANSWERS: dict[str, tuple[bytes, int]] = {
    "passed on": (ask("GET", "/passed"), 200),
    "checked": (ask("GET", "/checked"), 200),
    "made by a hook": (ask("GET", "/hooked"), 409),
    "a caller who is not known": (ask("GET", "/mine"), 401),
    "a body that does not fit": (ask("POST", "/form", JSON, body=b"{}"), 422),
    "a body that is too large": (ask("POST", "/form", JSON, body=b'{"id": 1}' + b" " * 60), 413),
    "nothing there": (ask("GET", "/nowhere"), 404),
    "another method": (ask("DELETE", "/mine"), 405),
    "a method of nobody's": (ask("BREW", "/mine"), 501),
    "a redirect": (ask("GET", "/mine/"), 307),
    "OPTIONS": (ask("OPTIONS", "/mine"), 204),
    "HEAD": (ask("HEAD", "/checked"), 200),
    "an endpoint of FastAPI's": (ask("GET", "/local"), 200),
    "one that streams": (ask("GET", "/streams"), 200),
    "one that fails": (ask("GET", "/fails"), 500),
    "an ambiguous path": (ask("GET", "/%2e%2e/mine"), 400),
    "no request": (b"GET /passed HTTP/1.1\r\nbad line\r\n\r\n", 400),
    "another version": (b"GET /passed HTTP/2.0\r\nhost: g\r\n\r\n", 505),
    "a head that is too large": (ask("GET", "/passed", b"x: " + b"a" * 70_000), 431),
    "two lengths": (ask("POST", "/passed", b"content-length: 1", b"content-length: 2"), 400),
}


@pytest.mark.parametrize(("request_", "status"), ANSWERS.values(), ids=ANSWERS)
async def test_every_answer_has_the_default_fields_of_the_server(request_: bytes, status: int) -> None:
    everywhere = [("x-everywhere", "1")]
    async with (
        ScriptedUpstream(saying(json_answer(b'{"id":1}'))) as upstream,
        serving(build(upstream.url), headers=everywhere) as gateway,
    ):
        got = await gateway.raw(request_)
    assert got.startswith(b"HTTP/1.1 %d " % status), got
    head = got.partition(b"\r\n\r\n")[0]
    assert head.count(b"\r\n" + LINE) == 1
    assert head.lower().count(b"\r\ndate: ") == 1
    assert head.count(b"\r\nx-request-id: ") == 1
