"""Declarations: what they may hold, what they must hold, and the messages about what is wrong."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Body, Depends, Form, Request
from openapi_spec_validator import validate
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.testclient import TestClient

from limen import Gateway, Upstream, anyone, owner, role, scope, signed_in
from limen.auth import Jwt, issue
from limen.auth.api_keys import ApiKeys
from limen.errors import DeclarationError
from limen.exchange.principal import Principal
from limen.runtime.route import MOST_HELD
from limen.testing import ScriptedUpstream, saying
from serving import serving

SVC = Upstream("svc", ["http://127.0.0.1:1"])
AUTH = Jwt("k" * 32)


class Item(BaseModel):
    name: str


def problems(app: Gateway) -> str:
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    return str(caught.value)


def test_every_problem_is_told_at_once_with_method_and_path() -> None:
    app = Gateway()

    @app.get("/a", upstream=SVC)
    def a() -> None: ...

    @app.post("/b", upstream=SVC, allow="admin")  # pyright: ignore[reportArgumentType] - the mistake under test
    def b() -> None: ...

    @app.put("/c/{x}", upstream=SVC, allow=anyone, rewrite="/{y}")
    def c(x: int) -> None: ...

    @app.get("/d", upstream=SVC, allow=signed_in)
    def d() -> None: ...

    @app.delete("/e", upstream=SVC, allow=anyone)
    def e(request: Request) -> None: ...

    @app.get("/f", max_body=3)
    def f() -> None: ...

    @app.get("/g", upstream=SVC, allow=anyone, after=lambda: None)  # pyright: ignore[reportArgumentType] - likewise
    def g() -> None: ...

    @app.get("/h", upstream=Upstream("svc", ["http://127.0.0.1:2"]), allow=anyone)
    def h() -> None: ...

    app.forward("/i/{rest:path}/{more:path}", upstream=SVC, allow=anyone)
    app.forward("/j", upstream=SVC, allow="x", methods=["get"])  # pyright: ignore[reportArgumentType] - likewise
    del a, b, c, d, e, f, g, h
    text = problems(app)
    assert text.startswith("10 problems in the declaration of this gateway:")
    for line in (
        "GET /a: says nothing about who may call",
        "POST /b: ",
        "PUT /c/{x}: rewrite '/{y}' names {y}; parameters of this path: x",
        "GET /d: allow=signed_in needs to know the caller; give the gateway auth=Jwt(...)",
        "DELETE /e: a stub is never run, so it cannot take Request",
        "GET /f: max_body given without upstream=",
        "GET /g: after=<lambda> must take one argument",
        "GET /h: two different upstreams are named 'svc'",
        "/i/{rest:path}/{more:path}: ",
        "GET /j: ",
    ):
        assert line in text, text


def same(answer: object) -> object:
    return answer


def test_what_would_hold_the_event_loop_is_refused_with_what_to_write_instead() -> None:
    app = Gateway()
    large = app.group("", upstream=SVC, allow=anyone, max_body=MOST_HELD + 1, max_answer=MOST_HELD + 1)

    @large.post("/body")
    def body(item: Item) -> Any: ...

    @large.get("/answer")
    def answer() -> Item: ...

    @large.get("/after", after=same)
    def after() -> None: ...

    @large.post("/streams")
    def streams() -> Any: ...

    @app.post("/most", upstream=SVC, allow=anyone, max_body=MOST_HELD, max_answer=MOST_HELD)
    def most(item: Item) -> Item: ...

    del body, answer, after, streams, most
    text = problems(app)
    assert text.startswith("3 problems in the declaration of this gateway:")
    assert "POST /body: max_body=1048577 is more than 1 MiB" in text
    assert "leave the body out of the signature, so that it streams to the service, or lower max_body" in text
    assert "GET /answer: max_answer=1048577 is more than 1 MiB" in text
    assert "leave out the return annotation (or give response_model=None), so that answers stream to the client" in text
    assert "leave out after=, so that answers stream to the client" in text


def test_what_is_held_has_256_kib_unless_more_is_said() -> None:
    app = Gateway()

    @app.post("/a", upstream=SVC, allow=anyone)
    def a(item: Item) -> Item: ...

    @app.post("/b", upstream=SVC, allow=anyone)
    def b() -> Any: ...

    del a, b
    assert [(route.max_body, route.max_answer) for route in app.declared()] == [(262144, 262144), (None, 262144)]


@pytest.mark.parametrize("first", ["/x/{a}", "/x/{c:str}"])
def test_two_routes_for_the_same_requests_are_refused(first: str) -> None:
    app = Gateway()
    app.forward(first, upstream=SVC, allow=anyone, methods=["GET"])
    app.forward("/x/{b}", upstream=SVC, allow=anyone, methods=["GET"])
    assert "/x/{b}" in problems(app)


def test_a_rule_about_a_parameter_needs_that_parameter() -> None:
    app = Gateway(auth=AUTH)
    app.forward("/x/{a}", upstream=SVC, allow=owner("user_id"))
    assert "needs the path parameter {user_id}" in problems(app)


def test_what_a_stub_cannot_take() -> None:
    app = Gateway()
    one = app.group("/one", upstream=SVC, allow=anyone)

    def reads_body(content: Item) -> None: ...

    @one.post("/dep")
    def dep(x: Annotated[None, Depends(reads_body)]) -> None: ...

    @one.post("/deps", dependencies=[Depends(reads_body)])
    def deps() -> None: ...

    @one.get("/tasks")
    def tasks(tasks: BackgroundTasks) -> None: ...

    @one.post("/two")
    def two(a: Item, b: Annotated[str, Form()]) -> None: ...

    @one.patch("/embed")
    def embed(a: Annotated[str, Body(embed=True, media_type="text/plain")]) -> None: ...

    del dep, deps, tasks, two, embed
    text = problems(app)
    assert text.count("the dependency reads_body reads the body, which goes to the service") == 2
    assert "BackgroundTasks" in text
    assert "a body is a form or it is JSON" in text
    assert "are members of JSON, and text/plain has none" in text


def test_routes_are_described_in_the_order_of_declaration() -> None:
    app = Gateway(auth=AUTH)
    outer = app.group("/api", upstream=SVC, allow=role("admin"))
    inner = outer.group("/v1", allow=role("admin") & scope("write"))

    @outer.get("")
    def listing() -> None: ...

    @inner.patch("/{a}")
    def change(a: str) -> None: ...

    del listing, change
    app.forward("/files/{path:path}", upstream=SVC, allow=lambda principal: principal.id == "1")
    described = app.describe()
    assert [(info.methods, info.path, info.upstream) for info in described[:2]] == [
        (("GET",), "/api", "svc"),
        (("PATCH",), "/api/v1/{a}", "svc"),
    ]
    assert described[0].allow == "role(admin)"
    assert "scope(write)" in described[1].allow
    assert described[2].methods[0] == "GET"
    assert all((info.engine, info.reason) == ("direct", "nothing stands before the route") for info in described)
    app.add_middleware(GZipMiddleware)
    assert all(
        (info.engine, info.reason) == ("asgi", "middleware sees every request: GZipMiddleware")
        for info in app.describe()
    )


def test_the_public_document_is_valid_and_complete() -> None:
    app = Gateway(title="T", version="1", auth=AUTH)

    @app.post("/items/{number}", upstream=SVC, allow=signed_in, status_code=201)
    def create(number: int, item: Item) -> Item: ...

    @app.get("/open", upstream=SVC, allow=anyone)
    def opened() -> list[Item]: ...

    @app.get("/local")
    def local() -> dict[str, str]:
        return {}

    del create, opened, local
    document = app.openapi()
    validate(document)
    assert app.openapi() is document
    secured = document["paths"]["/items/{number}"]["post"]
    assert list(document["components"]["securitySchemes"]) == list(secured["security"][0])
    assert {"201", "400", "401", "403", "413", "415", "422", "502", "503", "504"} <= secured["responses"].keys()
    assert "security" not in document["paths"]["/open"]["get"]
    assert "401" not in document["paths"]["/open"]["get"]["responses"]
    assert secured["operationId"] == "create"


def test_the_document_says_which_methods_prove_a_caller() -> None:
    keys = ApiKeys(SVC, header="x-key")
    app = Gateway(auth=AUTH)

    @app.get("/both", upstream=SVC, allow=signed_in, auth=AUTH | keys)
    def both() -> None: ...

    group = app.group("/keys", upstream=SVC, allow=signed_in, auth=keys)

    @group.get("")
    def keyed() -> None: ...

    del both, keyed
    document = app.openapi()
    validate(document)
    assert document["paths"]["/both"]["get"]["security"] == [{"bearer": []}, {"x-key": []}]
    assert document["paths"]["/keys"]["get"]["security"] == [{"x-key": []}]
    assert document["components"]["securitySchemes"]["x-key"] == {"type": "apiKey", "in": "header", "name": "x-key"}


def test_local_endpoints_lifespan_and_test_client_work_as_in_fastapi() -> None:
    events: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Gateway) -> AsyncGenerator[dict[str, str]]:
        events.append("start")
        yield {"mine": "kept"}
        events.append("stop")

    app = Gateway(lifespan=lifespan)

    @app.get("/state")
    def state(request: Request) -> dict[str, str]:
        return {"mine": request.state.mine}

    @app.get("/number")
    def number(n: int) -> int:
        return n

    @app.get("/teapot")
    def teapot() -> None:
        raise HTTPException(418, "short and stout", {"x-pot": "1"})

    @app.get("/bug")
    def bug() -> None:
        raise RuntimeError("a secret")

    del state, number, teapot, bug
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/state").json() == {"mine": "kept"}
        assert client.get("/docs").status_code == 200
        wrong = client.get("/number?n=s3cret")
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_request")
        assert "s3cret" not in wrong.text
        pot = client.get("/teapot")
        assert (pot.status_code, pot.json()["detail"], pot.headers["x-pot"]) == (418, "short and stout", "1")
        nothing = client.get("/nothing")
        assert (nothing.status_code, nothing.headers["content-type"]) == (404, "application/problem+json")
        failed = client.get("/bug")
        assert (failed.status_code, failed.json()["code"]) == (500, "internal_error")
        assert "secret" not in failed.text
    assert events == ["start", "stop"]


def test_a_gateway_that_does_not_compile_does_not_start() -> None:
    app = Gateway()

    @app.get("/a", upstream=SVC)
    def a() -> None: ...

    del a
    with pytest.raises(DeclarationError), TestClient(app):
        pass


async def test_routes_declared_while_running_are_served() -> None:
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    async with ScriptedUpstream(saying(said)) as upstream:
        app = Gateway()
        async with serving(app) as gateway:
            assert (await gateway.client.get("/late")).status_code == 404
            app.forward("/late", upstream=Upstream("late", [upstream.url]), allow=anyone)
            assert (await gateway.client.get("/late")).content == b"ok"


async def test_own_identity_headers_say_what_the_gateway_wants() -> None:
    def ident(principal: Principal) -> str:
        return f"user-{principal.id}"

    said = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    async with ScriptedUpstream(saying(said)) as upstream:
        app = Gateway(auth=AUTH, identity={"X-Caller": ident})
        app.forward("/x", upstream=Upstream("svc", [upstream.url]), allow=signed_in)
        headers = {"authorization": f"Bearer {issue(AUTH, 5, 'admin')}", "x-caller": "user-1"}
        async with serving(app) as gateway:
            assert (await gateway.client.get("/x", headers=headers)).status_code == 200
    assert upstream.requests[0].count(b"x-caller: ") == 1
    assert b"x-caller: user-5\r\n" in upstream.requests[0]
