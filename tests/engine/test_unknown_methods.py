"""A method that no route has is 501, wherever it is sent; one that is known, but not at a path, is 405 (RFC 9110, 9.1)."""

import pytest
from fastapi import FastAPI

from guarded_gateway import guarded_gateway, refused
from limen import Gateway, Upstream, anyone
from limen.client.limits import ClientLimits
from serving import serving

PATHS = (b"/svc/x", b"/one", b"/local", b"/nothing")


def build() -> Gateway:
    app = Gateway()
    service = Upstream("svc", ["http://127.0.0.1:9"])
    app.forward("/svc/{path:path}", upstream=service, allow=anyone)

    @app.get("/one", upstream=service, allow=anyone)
    def one() -> None: ...

    @app.api_route("/local", methods=["GET", "REPORT"])
    async def local() -> str:
        return "here"

    del one, local
    return app


@pytest.mark.parametrize("plain", [False, True], ids=["guarded", "plain uvicorn"])
async def test_an_unknown_method_is_501_and_a_known_one_405(plain: bool) -> None:
    async with serving(build(), plain=plain) as served:

        async def said(method: bytes, path: bytes) -> tuple[int, bytes]:
            got = await served.raw(method + b" " + path + b" HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
            allow = [line[7:] for line in got.split(b"\r\n") if line.lower().startswith(b"allow: ")]
            assert got.count(b'"code":"not_implemented"') == (1 if got.startswith(b"HTTP/1.1 501") else 0)
            return int(got.split(b" ")[1]), b"".join(allow)

        for method in (b"PROPFIND", b"PURGE", b"LINK", b"TRACE"):
            for path in PATHS:
                assert await said(method, path) == (501, b""), (method, path)
        assert await said(b"DELETE", b"/one") == (405, b"GET, HEAD, OPTIONS")
        assert await said(b"DELETE", b"/nothing") == (404, b"")
        assert (await said(b"DELETE", b"/local"))[0] == 405
        # An endpoint of the application's own has it: it is known, though not at other paths.
        assert await said(b"REPORT", b"/local") == (200, b"")
        assert await said(b"REPORT", b"/nothing") == (404, b"")


async def test_a_mounted_application_may_know_any_method() -> None:
    app = build()
    app.mount("/mounted", FastAPI())
    async with serving(app) as served:
        got = await served.raw(b"PURGE /nothing HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 404 ")


async def test_the_line_of_an_unknown_method_is_waited_for_as_for_any_head() -> None:
    async with guarded_gateway(ClientLimits(head_time=0.2)) as gateway:
        assert refused(await gateway.served.raw(b"BREW /sv"), 408, "head_timeout")
        assert refused(await gateway.served.raw(b"BREW /" + b"x" * 9000), 414, "uri_too_long")
        assert refused(await gateway.served.raw(b"BR", b"EW /svc/x HT", b"TP/1.1\r\n"), 501, "not_implemented")
