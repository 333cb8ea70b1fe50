"""The caller of an endpoint of the application's own: who is calling is never read from a request."""

import functools
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import APIRouter, Depends, WebSocket, WebSocketDisconnect
from fastapi.testclient import TestClient

from limen import DeclarationError, Gateway, Principal, Router, Upstream, anyone, caller, owner, signed_in
from limen.auth import Jwt, issue
from tokens import SECRET

if TYPE_CHECKING:
    from decimal import Decimal

JWT = Jwt(SECRET)
CALLER = {"authorization": f"Bearer {issue(JWT, 42, 'default')}"}
FORGED = {"id": "admin", "roles": ["admin"]}


class Named:
    """Something that is called."""

    async def __call__(self, caller: Principal) -> str:
        """Return who is calling."""
        return caller.id


def greet(greeting: str, caller: Principal) -> str:
    return f"{greeting} {caller.id}"


def annotated(caller: Principal) -> "Decimal":
    return caller.id  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("endpoint", "options", "said"),
    [
        (Named(), {}, "42"),
        (functools.partial(greet, "hello"), {}, "hello 42"),
        (annotated, {"response_model": None}, "42"),
    ],
    ids=["object", "partial", "under TYPE_CHECKING"],
)
def test_whatever_the_endpoint_is_the_caller_is_who_was_verified(
    endpoint: Any, options: dict[str, Any], said: str
) -> None:
    app = Gateway(auth=JWT)
    app.post("/me", allow=signed_in, **options)(endpoint)
    answer = TestClient(app).post("/me", json=FORGED, headers=CALLER)
    assert (answer.status_code, answer.json()) == (200, said)


def needs(caller: Principal) -> str:
    return caller.id


def test_no_declaration_reads_a_principal_from_a_request() -> None:
    app = Gateway(auth=JWT)
    stub: Any = needs
    said = "a Principal is who is calling, and is never read from a request"
    for declare in (lambda: app.add_api_route("/b", needs), lambda: APIRouter().post("/c")(needs)):
        with pytest.raises(TypeError, match=said):
            declare()
    app.get("/a", allow=signed_in, dependencies=[Depends(needs)])(lambda: None)
    app.post("/d", upstream=Upstream("svc", ["http://127.0.0.1:9"]), allow=anyone)(stub)
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    assert [one.partition(said)[0] for one in caught.value.problems] == ["GET /a: ", "POST /d: "]


def test_an_endpoint_that_anyone_may_call_says_so() -> None:
    app = Gateway(auth=JWT)

    @app.get("/open", allow=anyone)
    def opened() -> str:
        return "open"

    del opened
    assert TestClient(app).get("/open").json() == "open"


def test_a_class_of_routes_of_ones_own_stays() -> None:
    from limen.app.access import LocalRoute

    class Counting(APIRouter().route_class):
        """Counts."""

    router = Router(route_class=Counting)

    @router.get("/x", allow=signed_in)
    def x(caller: Annotated[Principal, Depends(lambda: None)]) -> str:
        return ""

    del x
    assert isinstance(router.routes[0], Counting)
    assert isinstance(router.routes[0], LocalRoute)


def test_an_endpoint_that_a_router_got_later_refuses_until_the_next_compile() -> None:
    app, router = Gateway(auth=JWT), Router()
    app.include_router(router)
    client = TestClient(app, raise_server_exceptions=False)
    assert client.get("/late").status_code == 404

    @router.get("/late", allow=signed_in)
    def late() -> str:
        return "late"

    del late
    assert client.get("/late", headers=CALLER).status_code == 500
    app.compile()
    assert client.get("/late").status_code == 401
    assert client.get("/late", headers=CALLER).json() == "late"
    assert client.head("/late", headers=CALLER).status_code == 200


def test_a_dependency_that_takes_the_caller_needs_somebody_to_ask() -> None:
    app = Gateway(auth=JWT)
    service = Upstream("svc", ["http://127.0.0.1:9"])
    who = [Depends(caller)]

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    app.get("/a", dependencies=who)(lambda: None)
    app.add_api_route("/b", lambda: None, dependencies=who)
    app.get("/c", upstream=service, allow=anyone, dependencies=who)(lambda: None)
    app.add_api_websocket_route("/d", socket, dependencies=who)
    app.get("/e", upstream=service, allow=signed_in, dependencies=who)(lambda: None)
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    told = [problem.partition(":") for problem in caught.value.problems]
    assert [one[0] for one in told] == ["GET /a", "GET /b", "GET /c", "WebSocket /d"]
    assert all("nobody is asked who is calling" in one[2] for one in told)


async def silent(websocket: WebSocket) -> None:
    await websocket.accept()


def test_what_is_wrong_with_the_rule_of_a_websocket_is_told() -> None:
    app = Gateway()
    wrong: Any = "admin"

    @app.websocket("/a")
    async def a(websocket: WebSocket, caller: Principal) -> None:
        await websocket.accept()

    @app.websocket("/b", allow=anyone)
    async def b(websocket: WebSocket, caller: Principal) -> None:
        await websocket.accept()

    del a, b
    app.websocket("/c", allow=wrong)(silent)
    app.websocket("/d", auth=JWT)(silent)
    app.websocket("/e", allow=owner("user_id"), auth=JWT)(silent)
    app.websocket("/f", allow=signed_in)(silent)
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    told = dict(problem.split(": ", 1) for problem in caught.value.problems)
    assert [*told] == [f"WebSocket /{path}" for path in "abcdef"]
    for path, said in {
        "a": "without allow= nobody is asked",
        "b": "the endpoint takes a Principal, and anyone may call",
        "d": "nobody asks; add allow=",
        "e": "needs the path parameter {user_id}",
        "f": "allow=signed_in needs to know the caller",
    }.items():
        assert said in told[f"WebSocket /{path}"]


def test_a_websocket_that_a_router_got_later_refuses_until_the_next_compile() -> None:
    app, router = Gateway(auth=JWT), Router()
    app.include_router(router)
    with TestClient(app) as client:
        client.get("/")
        router.websocket("/late", allow=signed_in)(silent)
        with pytest.raises(RuntimeError, match="/late was declared after the last compile"):
            client.websocket_connect("/late", headers=CALLER).__enter__()
        app.compile()
        with client.websocket_connect("/late", headers=CALLER):
            pass
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/late"):
            pass


async def test_a_server_that_can_write_no_refusal_of_a_websocket_closes_it() -> None:
    app = Gateway(auth=JWT)
    app.websocket("/ws", allow=signed_in)(silent)
    written: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        written.append(message)

    scope: Any = {"type": "websocket", "path": "/ws", "query_string": b"", "headers": [], "scheme": "ws"}
    await app(scope, receive, send)
    assert [(one["type"], one["code"]) for one in written] == [("websocket.close", 1008)]


def test_a_mounted_router_and_names_that_are_no_list_are_refused() -> None:
    app = Gateway(auth=JWT)
    app.mount("/m", Router())
    with pytest.raises(DeclarationError, match=r"a limen\.Router that is mounted serves no stub"):
        app.compile()
    methods: Any = "GET"
    for declare in (app.forward, app.api_route):
        with pytest.raises(TypeError, match=r"methods='GET' is no list; write methods=\['GET'\]"):
            declare("/x", upstream=Upstream("svc", ["http://127.0.0.1:9"]), allow=anyone, methods=methods)


def test_what_is_no_upstream_is_refused() -> None:
    app = Gateway(auth=JWT)
    nothing: Any = None
    app.get("/x", upstream=nothing, allow=anyone)(lambda: None)
    app.forward("/y", upstream=nothing, allow=anyone, methods=["GET"])
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    said = "upstream=None is no Upstream; write Upstream(name, [address]), or Split(stable, canary, share=...)"
    assert caught.value.problems == (f"GET /x: {said}", f"GET /y: {said}")


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ({"content-length": str}, "'content-length'"),
        ({"x y": str}, "'x y'"),
        ({"x-a": "constant"}, "'x-a' has no function"),
        ("x", "identity=str(...) is no mapping"),
    ],
)
def test_the_identity_of_the_gateway_is_checked_as_that_of_a_route(identity: Any, said: str) -> None:
    with pytest.raises(DeclarationError, match="Gateway: identity=") as caught:
        Gateway(auth=JWT, identity=identity).compile()
    assert said in str(caught.value)
