"""The application's own endpoints beside gateway routes, on both engines: who takes which request, and who may call."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse

from limen import Gateway, Principal, Router, Upstream, anyone, caller, owner, role, signed_in
from limen.auth import Jwt, issue
from limen.testing import ScriptedUpstream, saying
from serving import serving
from tokens import SECRET

OK = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"service"'
JWT = Jwt(SECRET)


def named(name: str) -> Any:
    return {"name": name}


def mixed(url: str) -> Gateway:
    """Return a gateway whose forward would take everything."""
    app = Gateway(auth=JWT)
    service = Upstream("svc", [url])

    @app.get("/items/special")
    def special() -> str:
        return "gateway"

    @app.post("/items/{item}")
    def posted(item: str) -> str:
        return f"gateway {item}"

    @app.get("/items/{item}", upstream=service, allow=anyone)
    def got(item: str) -> None: ...

    @app.get("/numbers/{number:int}")
    def number(number: int) -> int:
        return number

    inner = FastAPI()

    @inner.get("/x")
    def within() -> str:
        return "mounted"

    app.mount("/inner", inner)
    app.forward("/{path:path}", upstream=service, allow=anyone)
    del special, posted, got, number, within
    return app


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/items/special", '"gateway"'),
        ("POST", "/items/7", '"gateway 7"'),
        ("GET", "/items/7", '"service"'),
        ("GET", "/numbers/7", "7"),
        ("GET", "/numbers/x", '"service"'),
        ("GET", "/inner/x", '"mounted"'),
        ("GET", "/elsewhere", '"service"'),
        ("PUT", "/items/special", '"service"'),
    ],
)
async def test_the_more_specific_takes_a_request(method: str, path: str, expected: str) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(mixed(upstream.url)) as gateway:
        answer = await gateway.client.request(method, path)
    assert (answer.status_code, answer.text) == (200, expected)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc"])
async def test_a_forward_never_takes_what_the_gateway_publishes(path: str) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(mixed(upstream.url)) as gateway:
        answer = await gateway.client.get(path)
        assert answer.status_code == 200
        assert answer.text != '"service"'
        assert upstream.connections == 0


def local() -> Gateway:
    app = Gateway(auth=JWT)

    @app.get("/here")
    def got() -> str:
        return "got"

    @app.post("/here")
    def posted() -> str:
        return "posted"

    @app.get("/endless")
    def endless() -> StreamingResponse:
        async def content() -> AsyncIterator[bytes]:
            while True:
                yield b"more"

        return StreamingResponse(content(), headers={"x-kind": "endless"})

    del got, posted, endless
    return app


async def test_a_local_path_has_all_of_its_methods() -> None:
    async with serving(local()) as gateway:
        refused = await gateway.client.patch("/here")
        options = await gateway.client.options("/here")
    assert refused.status_code == 405
    assert refused.json()["code"] == "method_not_allowed"
    assert options.status_code == 204
    assert refused.headers["allow"] == options.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_head_is_what_get_answers_without_its_content() -> None:
    async with serving(local()) as gateway:
        head, got = await gateway.client.head("/here"), await gateway.client.get("/here")
        endless = await gateway.client.head("/endless")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert (endless.status_code, endless.content, endless.headers["x-kind"]) == (200, b"", "endless")


def guarded() -> Gateway:
    app = Gateway(auth=JWT)

    @app.get("/me", allow=signed_in)
    async def me(caller: Principal, greeting: str = "hello") -> str:
        return f"{greeting} {caller.id}"

    @app.get("/users/{user_id}", allow=owner("user_id") | role("admin"))
    def user(user_id: int, who: Principal | None = None) -> str:
        assert who is not None
        return f"{user_id} {who.id}"

    def name(principal: Annotated[Principal, Depends(caller)]) -> str:
        return principal.id

    admins = app.group("/admin", allow=role("admin"))

    @admins.post("/count")
    def count(form: dict[str, int], name: Annotated[str, Depends(name)]) -> str:
        return name

    del me, user, count
    return app


def token(user: int, kind: str = "default") -> dict[str, str]:
    return {"authorization": f"Bearer {issue(JWT, user, kind)}"}


async def test_a_rule_holds_on_a_local_endpoint_and_the_caller_is_a_parameter() -> None:
    async with serving(guarded()) as gateway:
        ask = gateway.client
        assert (await ask.get("/me")).json()["code"] == "token_missing"
        assert (await ask.get("/me")).headers["www-authenticate"].startswith("Bearer")
        assert (await ask.get("/me", headers=token(7))).json() == "hello 7"
        assert (await ask.get("/me?greeting=hi", headers=token(7))).json() == "hi 7"
        assert (await ask.get("/users/7", headers=token(7))).json() == "7 7"
        assert (await ask.get("/users/8", headers=token(7))).status_code == 403
        assert (await ask.get("/users/8", headers=token(7, "admin"))).json() == "8 7"
        assert (await ask.get("/users/%37", headers=token(7))).json() == "7 7"
        # Who may not call learns nothing of what the endpoint takes.
        assert (await ask.post("/admin/count", content=b"{")).status_code == 401
        assert (await ask.post("/admin/count", content=b"{", headers=token(7))).status_code == 403
        assert (await ask.post("/admin/count", json={"a": 1}, headers=token(7, "admin"))).json() == "7"
        assert (await ask.head("/me")).status_code == 401
        assert (await ask.head("/me", headers=token(7))).status_code == 200
        # Whether they may is nothing that a method tells which is not there.
        assert (await ask.delete("/me")).status_code == 405


async def test_a_path_that_fastapi_reads_otherwise_meets_the_rule_too() -> None:
    """The table sees one segment, FastAPI two: whichever endpoint it finds asks for itself."""
    app = Gateway(auth=JWT)

    @app.get("/files/{name}")
    def open_to_all(name: str) -> str:
        return "open"

    @app.get("/files/secret/{name}", allow=role("admin"))
    def secret(name: str) -> str:
        return "secret"

    del open_to_all, secret
    async with serving(app) as gateway:
        assert (await gateway.get(b"/files/secret%2Fa")).startswith(b"HTTP/1.1 401 ")
        assert (await gateway.get(b"/files/a")).startswith(b"HTTP/1.1 200 ")


async def test_what_mounts_another_way_is_served_from_then_on() -> None:
    app = local()
    async with ScriptedUpstream(saying(OK)) as upstream, serving(app) as gateway:
        app.forward("/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        assert (await gateway.client.get("/late")).text == '"service"'

        async def late() -> str:
            return "late"

        app.add_api_route("/late", late)
        assert (await gateway.client.get("/late")).json() == "late"


async def test_a_websocket_of_the_gateways_own_is_not_swallowed() -> None:
    from websockets.asyncio.client import connect

    app = Gateway(auth=JWT)

    @app.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()

    del echo
    async with ScriptedUpstream(saying(OK)) as upstream:
        app.forward("/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        async with serving(app) as gateway, connect(f"ws://127.0.0.1:{gateway.port}/ws") as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"


async def opened(port: int, path: str, headers: dict[str, str]) -> str:
    """Return what a WebSocket says first, or the status and the code of the refusal."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    try:
        async with connect(f"ws://127.0.0.1:{port}{path}", additional_headers=headers) as socket:
            return str(await socket.recv())
    except InvalidStatus as error:
        return f"{error.response.status_code} {json.loads(error.response.body)['code']}"


async def test_a_rule_holds_on_a_websocket_and_the_caller_is_a_parameter() -> None:
    app, router = Gateway(auth=JWT), Router(prefix="/r")
    for at in (app, router):

        @at.websocket("/ws/{user_id}", allow=owner("user_id"))
        async def whose(socket: WebSocket, user_id: int, caller: Principal) -> None:
            await socket.accept()
            await socket.send_text(f"{user_id} {caller.id}")

        @at.websocket("/open", allow=anyone)
        async def to_all(socket: WebSocket) -> None:
            await socket.accept()
            await socket.send_text("open")

        del whose, to_all
    app.include_router(router, prefix="/v1")
    async with serving(app) as gateway:
        for prefix in ("", "/v1/r"):
            for headers, said in ({}, "401 token_missing"), (token(8), "403 forbidden"), (token(7), "7 7"):
                assert await opened(gateway.port, f"{prefix}/ws/7", headers) == said
            assert await opened(gateway.port, f"{prefix}/open", {}) == "open"
