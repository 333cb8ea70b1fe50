"""``serving``: the gateway's real data path, from a client to services, without a socket."""

import asyncio
import gc
import socket
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx2
import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from limen import Gateway, Limits, Timeouts, Upstream, anyone, role, signed_in
from limen.auth import Jwt, issue
from limen.testing import (
    Clock,
    ScriptedUpstream,
    ServiceMissing,
    WithServices,
    answer,
    as_caller,
    hanging,
    refusing,
    resetting,
    saying,
    serving,
    slowly,
    snapshot,
    token_for,
    unreachable,
)

SECRET = "a-key-for-this-test-only-0123456789abcdef"
JWT = Jwt(SECRET)

Engine = Literal["direct", "asgi"]


@pytest.fixture(params=["direct", "asgi"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may connect or listen: only event loops have a pair of sockets of their own."""

    def refuse(*args: object) -> None:
        raise AssertionError("a socket is used")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", refuse)


@pytest.fixture(scope="module", autouse=True)
def nothing_left() -> Generator[None]:
    """Fail on whatever is collected unclosed in these tests, which a warning says."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(one.message) for one in caught] == []


def gateway(**options: Any) -> Gateway:
    app = Gateway(auth=JWT, **options)
    timeouts, limits = Timeouts(connect=5, first_byte=60), Limits(lifetime=None)
    users = Upstream("users", ["http://users.internal"], timeouts=timeouts, limits=limits)

    @app.get("/users/{number}", upstream=users, allow=signed_in)
    def user(number: int) -> dict[str, int | str]: ...

    @app.post("/echo", upstream=users, allow=anyone)
    def echo(content: dict[str, int]) -> dict[str, int]: ...

    del user, echo
    app.forward("/raw/{path:path}", upstream=users, allow=anyone)
    app.forward("/admin/{path:path}", upstream=users, allow=role("admin"))
    app.forward("/orders/{path:path}", upstream=Upstream("orders", ["https://orders.internal"]), allow=anyone)
    return app


async def echoed(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what comes, while it comes."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


class Users(FastAPI):
    """A service that notes when it starts and stops, and which connections it gets."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.seen: list[Request] = []
        super().__init__(lifespan=self._life)
        self.add_api_route("/users/{number}", self.user)
        self.add_api_route("/echo", self.echo, methods=["POST"])
        self.mount("/raw", echoed)

    @asynccontextmanager
    async def _life(self, app: FastAPI) -> AsyncGenerator[dict[str, str]]:
        self.events.append("started")
        yield {"given": "by the lifespan"}
        self.events.append("stopped")

    async def user(self, request: Request, number: int) -> dict[str, int | str]:
        self.seen.append(request)
        return {"id": number, "caller": request.headers["request-user-id"], "state": request.state.given}

    async def echo(self, content: dict[str, int]) -> dict[str, int]:
        return content


async def test_a_client_a_gateway_and_a_service(engine: Engine) -> None:
    app, users = gateway(), Users()
    async with serving(app, services={"users": users}, engine=engine) as client:
        assert users.events == ["started"]
        assert (await client.get("/users/1")).status_code == 401
        got = await client.get("/users/1", headers=as_caller(app, 7))
        assert got.json() == {"id": 1, "caller": "7", "state": "by the lifespan"}
        assert (await client.post("/echo", json={"a": 1})).json() == {"a": 1}
        assert (await client.post("/echo", json={"a": "x"})).status_code == 422
        assert (await client.get("/users/x", headers=as_caller(app, 7))).status_code == 422
        assert snapshot(app).upstreams[0].idle == 1  # the pool's own connection, kept
    assert users.events == ["started", "stopped"]


async def test_bodies_stream_both_ways_and_are_held_back(engine: Engine) -> None:
    piece, count = b"p" * 65536, 64
    sent = written = 0
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(count):
            sent += 1
            yield piece

    async def service(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal written
        assert scope["type"] == "http"  # it has no lifespan
        await go_on.wait()
        read = len((message := await receive())["body"])
        while message["more_body"]:
            read += len((message := await receive())["body"])
        assert read == len(piece) * count
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for left in reversed(range(count)):
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
            written += 1

    async def turns() -> None:
        for _ in range(300):
            await asyncio.sleep(0)

    async with serving(gateway(), services={"users": service}, engine=engine) as client:
        asked = asyncio.create_task(client.send(client.build_request("PUT", "/raw/x", content=body()), stream=True))
        await turns()
        assert 0 < sent < count  # the service does not read: everything on the way is full
        go_on.set()
        got = await asked
        await turns()
        assert 0 < written < count  # and now the client does not
        assert len(await got.aread()) == len(piece) * count


async def test_a_service_that_is_not_given_is_an_error_that_names_it(engine: Engine) -> None:
    async with serving(gateway(), services={"users": Users()}, engine=engine) as client:
        with pytest.raises(
            ServiceMissing, match=r"upstream 'orders' at https://orders\.internal, and services= has 'users'"
        ):
            await client.get("/orders/1")
        assert (await client.get("/raw/x")).status_code == 200
    orders = FastAPI()

    @orders.get("/orders/1")
    async def one(request: Request) -> str:
        return request.url.scheme

    async with serving(gateway(), services={"https://orders.internal": orders}, engine=engine) as client:
        assert (await client.get("/orders/1")).json() == "https"


async def test_faults_by_script(engine: Engine) -> None:
    users = ScriptedUpstream(
        refusing,  # and the gateway tries once more, since nothing was sent
        refusing,
        resetting,
        saying(answer({"id": 1, "caller": "7"}, headers=[("x-from", "the script")]), answer(status=204)),
        saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
    )
    app = gateway()
    seven = as_caller(app, 7, "admin")
    async with serving(app, services={"users": users}, engine=engine) as client:
        assert (await client.get("/users/1", headers=seven)).json()["code"] == "upstream_refused"
        assert (await client.get("/users/1", headers=seven)).json()["code"] == "upstream_closed"
        got = await client.get("/users/1", headers=seven)
        assert (got.json(), got.headers["x-from"]) == ({"id": 1, "caller": "7"}, "the script")
        assert (await client.get("/admin/x", headers=seven)).status_code == 204
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get("/raw/x")
    assert users.connections == 5
    assert b"request-user-id: 7\r\n" in users.requests[1]


async def test_a_script_that_fails_fails_the_test(engine: Engine) -> None:
    async def script(conversation: Any) -> None:
        await conversation.request()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with serving(gateway(), services={"users": ScriptedUpstream(script)}, engine=engine) as client:
            assert (await client.get("/raw/x")).status_code == 502


async def test_timeouts_of_a_minute_take_none(engine: Engine) -> None:
    clock, app = Clock(), gateway()
    users = ScriptedUpstream(hanging, unreachable, unreachable, slowly(answer("late"), 50))
    async with serving(app, services={"users": users}, clock=clock, engine=engine) as client:
        asked = asyncio.create_task(client.get("/raw/x"))
        await clock.advance(59.5)
        assert not asked.done()
        await clock.advance(1)
        assert (await asked).json()["code"] == "answer_timeout"

        asked = asyncio.create_task(client.get("/raw/x"))
        await clock.advance(4.5)
        assert not asked.done()
        await clock.advance(6)  # nothing was sent, so it is tried once more
        assert (await asked).json()["code"] == "connect_timeout"

        asked = asyncio.create_task(client.get("/raw/x"))
        await clock.advance(49)
        assert not asked.done()
        await clock.advance(2)
        assert (await asked).json() == "late"
        assert snapshot(app).upstreams[0].idle == 1
        await clock.advance(10)  # more than Limits.keepalive
        assert snapshot(app).upstreams[0].idle == 0


@pytest.fixture
async def running(engine: Engine) -> AsyncGenerator[tuple[Clock, httpx2.AsyncClient]]:
    clock = Clock()
    async with serving(gateway(), services={"users": ScriptedUpstream(hanging)}, clock=clock, engine=engine) as client:
        yield clock, client


async def test_it_may_be_a_fixture_with_its_clock(running: tuple[Clock, httpx2.AsyncClient]) -> None:
    clock, client = running
    asked = asyncio.create_task(client.get("/raw/x"))
    await clock.advance(61)
    assert (await asked).status_code == 504


@pytest.mark.parametrize("hangs", ["an application", "a script", "a connection"])
async def test_what_is_under_way_at_the_end_ends(engine: Engine, hangs: str) -> None:
    waiting = asyncio.Event()
    cancelled: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("app")
            raise

    async def script(conversation: Any) -> None:
        await conversation.request()
        waiting.set()
        await hanging(conversation)

    service = {
        "an application": app,
        "a script": ScriptedUpstream(script),
        "a connection": ScriptedUpstream(unreachable),
    }
    async with serving(gateway(), services={"users": service[hangs]}, engine=engine) as client:
        asked = asyncio.create_task(client.get("/raw/x"))
        if hangs == "a connection":
            for _ in range(20):
                await asyncio.sleep(0)
        else:
            await waiting.wait()
    with pytest.raises(httpx2.TransportError):
        await asked
    assert cancelled == (["app"] if hangs == "an application" else [])


async def test_tokens_end_by_the_clock(engine: Engine) -> None:
    clock = Clock(1_900_000_000)
    app = gateway()
    async with serving(app, services={"users": Users()}, clock=clock, engine=engine) as client:
        seven = as_caller(app, 7, now=clock.now())
        assert (await client.get("/users/1", headers=seven)).status_code == 200
        await clock.advance(14 * 60)
        assert (await client.get("/users/1", headers=seven)).status_code == 200
        await clock.advance(61)
        assert (await client.get("/users/1", headers=seven)).status_code == 401


async def test_what_after_issues_is_of_the_same_time(engine: Engine) -> None:
    clock = Clock()
    app = Gateway(auth=JWT)
    users = Upstream("users", ["http://users.internal"])

    def with_token(found: dict[str, int | str]) -> dict[str, int | str]:
        return {"token": issue(JWT, found["id"], "user")}

    @app.post("/login", upstream=users, allow=anyone, after=with_token)
    def login() -> dict[str, int | str]: ...

    @app.get("/me", upstream=users, allow=signed_in)
    def me() -> str: ...

    del login, me
    service = ScriptedUpstream(saying(answer({"id": 7}), answer("you")), saying(answer({"id": 7}), answer("you")))
    async with serving(app, services={"users": service}, clock=clock, engine=engine) as client:
        for _ in range(2):
            token = (await client.post("/login")).json()["token"]
            await clock.advance(1)
            assert (await client.get("/me", headers={"authorization": f"Bearer {token}"})).json() == "you"
            await clock.advance(3600)


async def test_a_service_that_does_not_start_says_which_and_why(engine: Engine) -> None:
    @asynccontextmanager
    async def fails(app: FastAPI) -> AsyncGenerator[None]:
        raise OSError("no database")
        yield

    with pytest.raises(RuntimeError, match="the service 'users' failed at startup") as caught:
        async with serving(gateway(), services={"users": FastAPI(lifespan=fails)}, engine=engine):
            pass
    assert isinstance(caught.value.__cause__, OSError)


async def test_the_gateways_own_lifespan_runs_and_hears_of_its_failure(engine: Engine) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def life(app: Any) -> AsyncGenerator[None]:
        events.append("started")
        yield
        events.append("stopped")

    app = gateway(lifespan=life)
    for _ in range(2):
        async with serving(app, services={"users": Users()}, engine=engine) as client:
            assert (await client.get("/raw/x")).status_code == 200
    assert events == ["started", "stopped"] * 2
    app.get("/x", upstream=Upstream("x", ["http://x"]))(lambda: None)
    with pytest.raises(RuntimeError, match="the gateway failed at startup"):
        async with serving(app, engine=engine):
            pass


async def test_a_gateway_within_another_application() -> None:
    inner = gateway()

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncGenerator[None]:
        async with inner.running():
            yield

    outer = FastAPI(lifespan=life)
    outer.mount("/", inner)
    async with serving(outer, services={"users": Users()}) as client:
        assert (await client.get("/raw/x")).status_code == 200


def test_a_test_client_with_services_in_memory() -> None:
    app, users = gateway(), Users()

    @app.websocket("/ws")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    del echo
    clock = Clock()
    with TestClient(WithServices(app, services={"users": users}, clock=clock)) as client:
        seven = as_caller(app, 7)
        assert client.get("/users/1", headers=seven).json()["caller"] == "7"
        with pytest.raises(ServiceMissing):
            client.get("/orders/1")
        with client.websocket_connect("/ws") as websocket:
            websocket.send_text("hello")
            assert websocket.receive_text() == "hello"
        assert client.portal is not None
        client.portal.call(clock.advance, 1000)
        assert client.get("/users/1", headers=seven).status_code == 401
    assert users.events == ["started", "stopped"]


def test_without_a_lifespan_no_service_runs_and_the_message_says_so() -> None:
    client = TestClient(WithServices(gateway(), services={"orders": Users()}))
    with pytest.raises(ServiceMissing, match=r"services= start with the lifespan; write `with TestClient\("):
        client.get("/orders/1")


def test_who_has_no_key_cannot_make_tokens() -> None:
    with pytest.raises(LookupError, match="auth=Jwt"):
        token_for(Gateway(), 7)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"engine": "fast"}, "engine='fast'; use 'direct' or 'asgi'"), ({"services": {"users": 7}}, "neither an ASGI")],
)
async def test_wrong_arguments(given: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        async with serving(gateway(), **given):
            pass
