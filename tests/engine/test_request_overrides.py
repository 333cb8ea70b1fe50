"""What a client sends beside the request proper, and some services obey: it must not undo what the gateway has checked."""

import pytest
from pydantic import BaseModel

from limen import Gateway, Upstream, anyone
from limen.testing import ScriptedUpstream, saying
from serving import serving

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Item(BaseModel):
    """A declared body."""

    name: str


def build(url: str) -> Gateway:
    app = Gateway()
    service = Upstream("svc", [url])
    app.forward("/svc/{path:path}", upstream=service, allow=anyone)

    @app.post("/items", upstream=service, allow=anyone)
    def create(item: Item) -> None: ...

    del create
    return app


def post(body: bytes, *lines: bytes) -> bytes:
    head = [b"POST /items HTTP/1.1", b"host: g", b"connection: close", b"content-length: %d" % len(body), *lines]
    return b"\r\n".join([*head, b"", body])


async def test_nothing_overrides_method_path_or_client() -> None:
    names = [
        b"X-HTTP-Method-Override",
        b"X-Original-URL",
        b"X-Rewrite-URL",
        b"Proxy",
        b"True-Client-IP",
        b"X-Forwarded-User",
    ]
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url)) as gateway:
        await gateway.get(b"/svc/x", *[name + b": evil" for name in names])
    assert b"evil" not in upstream.requests[0]


async def test_a_declared_body_is_not_read_by_the_charset_that_the_client_names() -> None:
    body = b'{"name": "+ACI-,+ACI-admin+ACI-:true,+ACI-x+ACI-:+ACI-"}'  # in UTF-7, three more members
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url)) as gateway:
        await gateway.raw(post(body, b"content-type: application/json; charset=utf-7"))
    (head,) = upstream.requests
    assert b"\r\ncontent-type: application/json\r\n" in head
    assert b"utf-7" not in head


@pytest.mark.parametrize(("body", "kept"), [(b'{"name": "a"}', True), (b'{"name": "a", "z": 1}', False)])
@pytest.mark.parametrize(
    "digest",
    [b"content-digest: sha-256=:AAAA:", b"repr-digest: sha-256=:AAAA:", b"digest: sha-256=AAAA", b"content-md5: AAAA"],
)
async def test_a_digest_passes_with_the_bytes_that_it_is_of(body: bytes, digest: bytes, *, kept: bool) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url)) as gateway:
        await gateway.raw(post(body, b"content-type: application/json", digest))
    (got,) = upstream.requests
    assert (b"\r\n" + digest + b"\r\n" in got) is kept


@pytest.mark.parametrize(("coding", "status"), [(b"gzip", b" 415 "), (b"identity", b" 200 ")])
async def test_a_declared_body_reaches_the_service_uncompressed(coding: bytes, status: bytes) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.raw(
            post(b'{"name": "a"}', b"content-type: application/json", b"content-encoding: " + coding)
        )
    assert status in got
