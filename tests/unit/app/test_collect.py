"""What FastAPI's own routes say: local endpoints, routers, and what can never be reached or was never meant."""

from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket, WebSocketDisconnect
from fastapi.testclient import TestClient
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Host, Route

from limen import DeclarationError, Gateway, Principal, Router, Upstream, anyone, role, signed_in
from limen.auth import Jwt
from limen.policies import Respond
from tokens import SECRET

SVC = Upstream("svc", ["http://127.0.0.1:9"])


def problems(app: Gateway) -> tuple[str, ...]:
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    return caught.value.problems


def gateway(**options: Any) -> Gateway:
    return Gateway(auth=Jwt(SECRET), **options)


def endpoint() -> str:
    return "here"


def test_a_function_that_does_nothing_is_the_stub_of_nobody() -> None:
    app = gateway()

    @app.get("/a")
    def a() -> None: ...

    @app.get("/b")
    async def b() -> None:
        """Say what it does."""

    @app.get("/c")
    async def c() -> None:
        pass

    @app.get("/d", status_code=204)
    def d() -> None:
        pass

    @app.get("/e")
    async def e() -> None:
        """Say what it does."""
        raise NotImplementedError

    @app.get("/f")
    def f() -> None:
        raise NotImplementedError("soon")

    del a, b, c, d, e, f
    said = (
        "the function does nothing, as that of a stub, and there is no upstream=; name the service that answers, or write "
        "what the endpoint does"
    )
    assert problems(app) == tuple(f"GET /{name}: {said}" for name in "abef")


def test_a_websocket_that_does_nothing_is_refused() -> None:
    app, router = gateway(), APIRouter()

    async def nothing(websocket: WebSocket) -> None: ...

    app.websocket("/a")(nothing)
    app.websocket("/b", allow=signed_in)(nothing)
    router.websocket("/c")(nothing)
    app.include_router(router)
    said = "the function does nothing, and no service answers a WebSocket; write what the endpoint does"
    assert problems(app) == tuple(f"WebSocket /{path}: {said}" for path in "abc")


def test_a_function_without_a_source_is_taken_as_it_is() -> None:
    scope: dict[str, Any] = {}
    exec("def made() -> None: ...", scope)
    app = gateway()
    app.get("/made")(scope["made"])
    app.compile()


def test_what_can_never_be_reached_is_refused() -> None:
    app = gateway()
    app.get("/items/{item}")(endpoint)
    app.get("/items/special")(endpoint)
    app.get("/twice")(endpoint)
    app.get("/twice")(endpoint)
    app.forward("/docs", upstream=SVC, allow=anyone, methods=["GET"])
    app.mount("/inner", FastAPI())
    app.forward("/inner/{path:path}", upstream=SVC, allow=anyone, methods=["POST"])
    app.trace("/trace")(endpoint)
    found = problems(app)
    assert [one.partition(": ")[0] for one in found] == [
        "TRACE /trace",
        "GET /items/special",
        "GET /twice",
        "GET /docs",
        "POST /inner/{path:path}",
    ]
    assert "GET /items/special: can never be reached, since FastAPI takes the first that fits" in found[1]
    assert "the gateway route can never be reached, since the application's own endpoint at /docs was" in found[3]
    assert "since the mounted application at /inner/{path:path} was declared before it" in found[4]


def test_what_fastapi_refuses_is_a_problem_of_its_route_beside_the_others() -> None:
    app = gateway()
    misspelt: Any = {"upstrem": SVC}
    app.delete("/a", upstream=SVC, allow=anyone, status_code=204, response_model=int)(endpoint)
    app.get("/b", upstream=SVC, allow=anyone, response_model=Route)(endpoint)
    app.get("/c", status_code=204, response_model=int)(endpoint)
    app.get("/d", allow=anyone, **misspelt)(endpoint)
    app.get("/e", upstream=SVC, allow=anyone, quite_another=1)(endpoint)  # pyright: ignore[reportCallIssue] - the mistake

    @app.get("/f", upstream=SVC, allow=signed_in)
    def f(caller: Principal) -> None: ...

    del f
    for found, said in zip(
        problems(app),
        (
            "DELETE /a: Status code 204 must not have a response body",
            "GET /b: Invalid args for response field!",
            "GET /c: Status code 204 must not have a response body",
            "GET /d: there is no option upstrem=; did you mean upstream=?",
            "GET /e: there is no option quite_another=; leave it out",
            "GET /f: a Principal is who is calling, and is never read from a request",
        ),
        strict=True,
    ):
        assert found.startswith(said)
        assert "\n" not in found


def test_a_wrong_endpoint_that_is_declared_while_the_gateway_runs_answers_nobody() -> None:
    app = gateway()
    with TestClient(app, raise_server_exceptions=False) as client:
        app.get("/late", status_code=204, response_model=int)(endpoint)
        assert client.get("/late").status_code == 500


def test_a_callback_or_webhook_that_the_gateway_would_have_to_serve_is_refused() -> None:
    callbacks, webhooks = Router(), Router()
    callbacks.post("{$request.body#/url}", upstream=SVC, allow=anyone)(endpoint)
    callbacks.post("{$request.body#/other}")(endpoint)
    webhooks.post("news", allow=anyone)(endpoint)
    app = gateway(webhooks=webhooks)
    app.post("/a", upstream=SVC, allow=anyone, callbacks=callbacks.routes)(endpoint)
    app.post("/b", callbacks=callbacks.routes)(endpoint)
    callback = "the callback {$request.body#/url} has allow=, upstream="
    assert [one.partition(", and stands in the document alone")[0] for one in problems(app)] == [
        f"POST /a: {callback}",
        f"POST /b: {callback}",
        "the webhook news has allow=",
    ]


def test_hosts_are_refused() -> None:
    app = gateway()
    app.router.routes.append(Host("a.example", FastAPI()))
    assert problems(app)[0].startswith("host 'a.example': the routes of a gateway are the same for every host")


def test_a_caller_needs_a_rule_and_a_rule_needs_a_method() -> None:
    app = Gateway()

    @app.get("/a")
    def a(caller: Principal) -> str:
        return caller.id

    @app.get("/b", allow=anyone)
    def b(caller: Principal | None = None) -> str:
        return ""

    @app.get("/c", allow=signed_in)
    def c() -> str:
        return ""

    @app.get("/d", auth=Jwt(SECRET))
    def d() -> str:
        return ""

    @app.get("/e", allow="admin")  # pyright: ignore[reportArgumentType] - the mistake under test
    def e() -> str:
        return ""

    del a, b, c, d, e
    found = problems(app)
    assert [one.partition(":")[0] for one in found] == ["GET /a", "GET /b", "GET /d", "GET /e", "GET /c"]
    assert "caller: Principal is who is calling, and without allow= nobody is asked" in found[0]
    assert "takes a Principal, and anyone may call" in found[1]
    assert "nobody asks; add allow=" in found[2]
    assert "allow=signed_in needs to know the caller" in found[4]


def test_what_is_declared_after_a_compile_is_checked_too() -> None:
    app = gateway()
    app.compile()
    app.get("/late", upstream=SVC)(endpoint)
    assert "GET /late: says nothing about who may call" in problems(app)[0]

    included = gateway()
    router = Router()
    included.include_router(router, prefix="/api")
    included.compile()
    router.get("/late", upstream=SVC)(endpoint)
    assert "GET /api/late: says nothing about who may call" in problems(included)[0]


def test_a_compile_that_has_nothing_new_changes_nothing() -> None:
    app = gateway()
    app.forward("/x", upstream=SVC, allow=anyone)
    app.compile()
    active = app.active_config()
    app.compile()
    assert app.active_config() is active
    app.mount("/y", FastAPI())
    assert app.active_config() is not active


def test_routers_of_fastapi_and_converters_of_ones_own_are_known() -> None:
    class Hex(Convertor[int]):
        regex = "[0-9a-f]+"

        def convert(self, value: str) -> int:
            return int(value, 16)

        def to_string(self, value: int) -> str:
            return f"{value:x}"

    register_url_convertor("hex", Hex())
    app = gateway()
    router = APIRouter(prefix="/r")
    router.get("/{number:hex}")(endpoint)
    router.add_route("/plain", Route("/plain", endpoint).endpoint)

    @router.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    del socket
    app.include_router(router)
    app.mount("/", FastAPI())
    assert [one.name for one in app.local_endpoints()][4:] == [
        "GET /r/{number:hex}",
        "GET|HEAD /plain",
        "WebSocket /r/ws",
        "a mounted application at /",
    ]


def test_policies_of_a_group_hold_in_a_router_and_are_not_for_local_endpoints() -> None:
    app = gateway()
    router = Router(prefix="/v1")
    group = router.group("/g", upstream=SVC, allow=anyone, policies="x")  # pyright: ignore[reportArgumentType] - likewise
    group.get("/a")(endpoint)
    group.forward("/all/{path:path}", after=None)  # pyright: ignore[reportCallIssue] - likewise
    app.include_router(router)
    app.get("/local", policies=[Respond(200)], rewrite="/x")(endpoint)
    found = problems(app)
    assert "GET /local: policies, rewrite given without upstream=; name the service" in found
    assert "group /v1/g: policies=str(...) is no list; write policies=[...]" in found
    assert any("/v1/g/all/{path:path}: forward() has no option after=" in one for one in found)


def test_a_dependency_that_reads_a_body_is_refused_on_a_forward() -> None:
    def reads(form: dict[str, int]) -> None: ...

    app = gateway()
    app.forward("/x", upstream=SVC, allow=anyone, methods=["POST"], dependencies=[Depends(reads)])
    assert "POST /x: the dependency reads reads the body, which goes to the service" in problems(app)[0]


def test_the_engine_and_the_reason_are_told_of_each_route() -> None:
    def guard() -> None: ...

    app = gateway()
    app.get("/a", upstream=SVC, allow=anyone)(endpoint)
    app.get("/b", upstream=SVC, allow=anyone, dependencies=[Depends(guard)])(endpoint)
    app.get("/c", allow=role("admin"))(endpoint)
    app.api_route("/d", methods=["get", "POST"], upstream=SVC, allow=anyone)(endpoint)
    assert [(one.methods, one.path, one.upstream, one.engine, one.reason) for one in app.describe()] == [
        (("GET",), "/a", "svc", "direct", "nothing stands before the route"),
        (("GET",), "/b", "svc", "asgi", "dependencies run before it: guard"),
        (("GET", "POST"), "/d", "svc", "direct", "nothing stands before the route"),
        (("GET",), "/c", "-", "asgi", "an endpoint of FastAPI's"),
    ]


def test_a_websocket_of_a_path_that_may_not_be_served_is_refused() -> None:
    app = gateway()

    @app.websocket("/ws/{number:int}")
    async def socket(websocket: WebSocket, number: int) -> None:
        await websocket.accept()
        await websocket.send_json(number)

    del socket
    client = TestClient(app)
    with client.websocket_connect("/ws/7") as websocket:
        assert websocket.receive_json() == 7
    for path in ("/ws/" + "7" * 5000, "/ws/%2e%2e"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(path):
            pass
