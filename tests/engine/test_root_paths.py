"""A prefix under which clients reach the gateway: of the application or the server, by a mount, or by a trusted proxy."""

from typing import Any

import pytest
from fastapi import FastAPI

import serving as served
from limen import Gateway, Trust, Upstream, anyone
from limen.testing import ScriptedUpstream, saying

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def build(url: str, **options: Any) -> Gateway:
    app = Gateway(**options)
    service = Upstream("svc", [url])

    @app.get("/items/{item}", upstream=service, allow=anyone)
    def item(item: int) -> Any: ...

    @app.get("/local")
    def local() -> str:
        return "local"

    app.forward("/all/{path:path}", upstream=service, allow=anyone)
    del item, local
    return app


def lines(head: bytes, name: bytes) -> list[bytes]:
    return [line[len(name) + 2 :] for line in head.split(b"\r\n") if line.startswith(name + b": ")]


def servers(answer: Any) -> Any:
    return answer.json().get("servers")


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
@pytest.mark.parametrize("stripped", [True, False])
async def test_a_root_path_of_the_application(stripped: bool) -> None:
    """Behind a proxy that takes the prefix off, and behind one that does not, as in FastAPI."""
    prefix = "" if stripped else "/shop"
    async with (
        ScriptedUpstream(saying(*[OK] * 4)) as upstream,
        served.serving(build(upstream.url, root_path="/shop")) as gateway,
    ):
        ask = gateway.client
        assert (await ask.get(f"{prefix}/items/7?a=1")).text == "ok"
        assert (await ask.get(f"{prefix}/all/a%2Fb")).text == "ok"
        assert (await ask.get(f"{prefix}/local")).json() == "local"
        redirected = await ask.get(f"{prefix}/items/7/?a=1")
        assert (await ask.get(f"{prefix}/nothing")).status_code == 404
        assert servers(await ask.get(f"{prefix}/openapi.json")) == [{"url": "/shop"}]
    assert (redirected.status_code, redirected.headers["location"]) == (307, "/shop/items/7?a=1")
    assert [head.split(b" ")[1] for head in upstream.requests] == [b"/items/7?a=1", b"/all/a%2Fb"]
    assert [lines(head, b"x-forwarded-prefix") for head in upstream.requests] == [[b"/shop"], [b"/shop"]]


async def test_a_root_path_of_the_server() -> None:
    async with (
        ScriptedUpstream(saying(*[OK] * 4)) as upstream,
        served.serving(build(upstream.url), root_path="/shop") as gateway,
    ):
        ask = gateway.client
        assert (await ask.get("/items/7")).text == "ok"
        assert (await ask.get("/local")).json() == "local"
        assert (await ask.get("/items/7/")).headers["location"] == "/shop/items/7"
        assert servers(await ask.get("/openapi.json")) == [{"url": "/shop"}]
        assert (await ask.get("/shop/items/7")).status_code == 404  # which the proxy would have taken off
    assert lines(upstream.requests[0], b"x-forwarded-prefix") == [b"/shop"]


async def test_a_gateway_that_another_application_mounts() -> None:
    outer = FastAPI()
    async with ScriptedUpstream(saying(*[OK] * 4)) as upstream:
        outer.mount("/shop", build(upstream.url))
        async with served.serving(outer) as gateway:
            ask = gateway.client
            assert (await ask.get("/shop/items/7")).text == "ok"
            assert (await ask.get("/%73hop/all/x")).text == "ok"
            assert (await ask.get("/shop/local")).json() == "local"
            assert (await ask.get("/shop/items/7/")).headers["location"] == "/shop/items/7"
            assert servers(await ask.get("/shop/openapi.json")) == [{"url": "/shop"}]
            assert (await ask.get("/items/7")).status_code == 404
    assert [head.split(b" ")[1] for head in upstream.requests] == [b"/items/7", b"/all/x"]


PREFIX = {"x-forwarded-prefix": "/shop/"}


async def test_a_prefix_that_a_trusted_proxy_names() -> None:
    async with ScriptedUpstream(saying(*[OK] * 4)) as upstream:
        app = build(upstream.url, trust=Trust(["127.0.0.0/8"]))
        async with served.serving(app) as gateway:
            ask = gateway.client
            assert (await ask.get("/items/7", headers=PREFIX)).text == "ok"
            assert (await ask.get("/items/7/", headers=PREFIX)).headers["location"] == "/shop/items/7"
            assert servers(await ask.get("/openapi.json", headers=PREFIX)) == [{"url": "/shop"}]
            assert "/shop/openapi.json" in (await ask.get("/docs", headers=PREFIX)).text
            assert (await ask.get("/items/7")).text == "ok"
            assert (await ask.get("/items/7/")).headers["location"] == "/items/7"
            for wrong in ("shop", "//evil", "/a b", "/" + "a" * 300, "/a?b", "/..", "/a/<b>"):
                found = await ask.get("/items/7/", headers={"x-forwarded-prefix": wrong})
                assert found.headers["location"] == "/items/7", wrong
    assert [lines(head, b"x-forwarded-prefix") for head in upstream.requests] == [[b"/shop"], []]


async def test_nobody_else_names_a_prefix() -> None:
    async with ScriptedUpstream(saying(*[OK] * 4)) as upstream, served.serving(build(upstream.url)) as gateway:
        assert (await gateway.client.get("/items/7/", headers=PREFIX)).headers["location"] == "/items/7"
        assert servers(await gateway.client.get("/openapi.json", headers=PREFIX)) is None
        assert (await gateway.client.get("/items/7", headers=PREFIX)).text == "ok"
    assert lines(upstream.requests[0], b"x-forwarded-prefix") == []


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
async def test_a_root_path_that_is_said_wins_over_what_a_proxy_says() -> None:
    async with ScriptedUpstream(saying(OK, OK)) as upstream:
        app = build(upstream.url, root_path="/shop", trust=Trust(["127.0.0.0/8"]))
        async with served.serving(app) as gateway:
            for prefix in ("/other", "/all"):
                headers = {"x-forwarded-prefix": prefix}
                assert (await gateway.client.get("/all/x", headers=headers)).text == "ok"
                assert (await gateway.client.get("/local", headers=headers)).json() == "local"
    assert [head.split(b" ")[1] for head in upstream.requests] == [b"/all/x", b"/all/x"]
    assert lines(upstream.requests[0], b"x-forwarded-prefix") == [b"/shop"]
