"""FastAPI's dependencies on gateway routes: they run once the caller may call, and before the service is asked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Cookie, Depends, FastAPI, Header, HTTPException, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import SecurityScopes

from limen import Gateway, Router, Upstream, anyone, caller, signed_in
from limen.auth import Jwt, issue
from limen.exchange.principal import Principal
from limen.policies import Edits, Headers
from limen.testing import ScriptedUpstream, saying
from serving import serving
from tokens import SECRET

OK = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: of=service\r\nx-kind: service\r\ncontent-length: 4"
    b"\r\n\r\ntrue"
)
JWT = Jwt(SECRET)


class Ran:
    """What ran, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        self.names.append(name)


def build(url: str, ran: Ran) -> Gateway:
    def everywhere(request: Request) -> None:
        ran(f"app {request.url.path}")

    async def opened() -> AsyncIterator[str]:
        ran("opened")
        yield "value"
        ran("closed")

    def maintenance(on: Annotated[bool, Header(alias="x-maintenance")] = False) -> None:
        if on:
            raise HTTPException(503, {"until": "noon"}, headers={"retry-after": "60"})

    def marks(response: Response, tasks: BackgroundTasks, session: Annotated[str, Cookie()] = "none") -> None:
        response.set_cookie("seen", session)
        response.headers["x-kind"] = "dependency"
        tasks.add_task(ran, "task")

    def reads(request: Request) -> None:
        ran(f"path {request.path_params}")

    async def body(request: Request) -> None:
        await request.body()

    app = Gateway(auth=JWT, dependencies=[Depends(everywhere)])
    service = Upstream("svc", [url])
    api = app.group("/api", upstream=service, allow=anyone)

    @api.get("/items/{item:int}", dependencies=[Depends(maintenance), Depends(reads)])
    def item(item: int, opened: Annotated[str, Depends(opened)]) -> None: ...

    @api.post("/marks", dependencies=[Depends(marks)])
    def marked(form: dict[str, int]) -> None: ...

    @api.post("/body", dependencies=[Depends(body)])
    def with_body() -> None: ...

    @app.get("/mine", upstream=service, allow=signed_in)
    def mine(number: int = 1) -> None: ...

    app.forward("/all/{path:path}", upstream=service, allow=anyone, dependencies=[Depends(maintenance)])
    del item, marked, with_body, mine
    return app


async def test_they_run_before_the_service_is_asked_and_close_behind_the_answer() -> None:
    ran = Ran()
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url, ran)) as gateway:
        answer = await gateway.client.get("/api/items/7")
    assert (answer.status_code, answer.json()) == (200, True)
    assert ran.names == ["app /api/items/7", "path {'item': 7}", "opened", "closed"]


@pytest.mark.parametrize("path", ["/api/items/7", "/all/x"])
async def test_one_that_refuses_answers_and_no_service_is_asked(path: str) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url, Ran())) as gateway:
        refused = await gateway.client.get(path, headers={"x-maintenance": "1"})
        invalid = await gateway.client.get(path, headers={"x-maintenance": "maybe"})
        assert upstream.connections == 0
        passed = await gateway.client.get(path)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
    assert (invalid.status_code, invalid.json()["code"]) == (422, "invalid_request")
    assert passed.status_code == 200


async def test_what_it_sets_on_the_response_reaches_the_client_and_its_tasks_run() -> None:
    ran = Ran()
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url, ran)) as gateway:
        answer = await gateway.client.post("/api/marks", json={"a": 1}, headers={"cookie": "session=s1"})
        refused = await gateway.client.post("/api/marks", json={"a": "x"})
    assert answer.headers.get_list("set-cookie") == ["of=service", "seen=s1; Path=/; SameSite=lax"]
    assert answer.headers.get_list("x-kind") == ["dependency"]
    assert refused.status_code == 422
    assert ran.names == ["app /api/marks", "task"] * 2
    assert upstream.requests[0].count(b"\r\n\r\n") == 1


async def test_who_may_not_call_runs_none() -> None:
    ran = Ran()
    headers = {"authorization": f"Bearer {issue(JWT, 7, 'default')}"}
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url, ran)) as gateway:
        assert (await gateway.client.get("/mine")).status_code == 401
        assert ran.names == []
        assert (await gateway.client.get("/mine", headers=headers)).status_code == 200
        assert ran.names == ["app /mine"]
        assert (await gateway.client.get("/mine?number=x", headers=headers)).status_code == 422


async def test_one_that_wants_the_body_is_told_that_it_goes_to_the_service(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url, Ran())) as gateway:
        answer = await gateway.client.post("/api/body", content=b"x")
        assert upstream.connections == 0
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "RuntimeError" in caplog.text


async def test_exception_handlers_and_overrides_are_as_in_an_endpoint() -> None:
    class Closed(Exception):
        pass

    def gate() -> None:
        raise Closed

    app = Gateway()

    async def answer(request: Request, error: Exception) -> Response:
        return JSONResponse({"path": request.scope["route"].path}, 418)

    app.add_exception_handler(Closed, answer)
    async with ScriptedUpstream(saying(OK)) as upstream:
        app.forward("/x/{p:path}", upstream=Upstream("s", [upstream.url]), allow=anyone, dependencies=[Depends(gate)])
        async with serving(app) as gateway:
            refused = await gateway.client.get("/x/1")
            app.dependency_overrides[gate] = lambda: None
            passed = await gateway.client.get("/x/1")
    assert (refused.status_code, refused.json()) == (418, {"path": "/x/{p:path}"})
    assert passed.status_code == 200


async def test_a_router_brings_its_stubs_with_prefix_and_dependencies() -> None:
    ran = Ran()
    async with ScriptedUpstream(saying(OK)) as upstream:
        service = Upstream("svc", [upstream.url])
        inner = Router(prefix="/inner", dependencies=[Depends(lambda: ran("inner"))])
        router = Router(prefix="/v1", tags=["items"])

        @inner.get("/items/{item}", upstream=service, allow=anyone)
        def item(item: int) -> bool: ...

        @router.get("/me", allow=signed_in)
        def me(principal: Annotated[Principal, Depends(caller)]) -> str:
            return principal.id

        router.forward("/all/{path:path}", upstream=service, allow=anyone)
        router.include_router(inner)
        app = Gateway(auth=JWT)
        app.include_router(router, prefix="/api", dependencies=[Depends(lambda: ran("included"))])
        del item, me
        described = {(one.path, one.engine, one.allow) for one in app.describe()}
        async with serving(app) as gateway:
            got = await gateway.client.get("/api/v1/inner/items/7")
            wrong = await gateway.client.get("/api/v1/inner/items/x")
            forwarded = await gateway.client.get("/api/v1/all/7")
            refused = await gateway.client.get("/api/v1/me")
    assert described == {
        ("/api/v1/inner/items/{item}", "asgi", "anyone"),
        ("/api/v1/all/{path:path}", "asgi", "anyone"),
        ("/api/v1/me", "asgi", "signed_in"),
    }
    assert [one.status_code for one in (got, wrong, forwarded, refused)] == [200, 422, 200, 401]
    assert ran.names == ["included", "inner", "included", "inner", "included"]
    assert upstream.requests[0].startswith(b"GET /api/v1/inner/items/7 ")
    operation: Any = app.openapi()["paths"]["/api/v1/inner/items/{item}"]["get"]
    assert operation["tags"] == ["items"]
    assert {"200", "422", "502"} <= set(operation["responses"])


async def test_each_option_of_a_dependency_is_as_in_fastapi() -> None:
    """``use_cache``, ``scope``, ``max_concurrency`` and ``scopes``: FastAPI itself solves what a stub depends on."""
    ran = Ran()
    most = 0
    inside = 0

    async def counted() -> None:
        ran("counted")

    def fresh(again: Annotated[None, Depends(counted, use_cache=False)]) -> None: ...

    async def alone() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1

    async def early() -> AsyncIterator[None]:
        yield
        ran("early ended")

    async def late() -> AsyncIterator[None]:
        yield
        ran("late ended")

    def scopes(wanted: SecurityScopes) -> None:
        ran(f"scopes {wanted.scope_str}")

    async with ScriptedUpstream(saying(*[OK] * 9), saying(*[OK] * 9), saying(*[OK] * 9)) as upstream:
        app = Gateway()
        group = app.group("", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        group.get("/cached", dependencies=[Depends(counted), Depends(counted)])(nothing)
        group.get("/fresh", dependencies=[Depends(counted)])(fresh)
        group.get("/scope", dependencies=[Depends(early, scope="function"), Depends(late)])(nothing)
        group.get("/alone", dependencies=[Depends(alone, max_concurrency=1)])(nothing)
        group.get("/scopes", dependencies=[Security(scopes, scopes=["a", "b"])])(nothing)
        async with serving(app) as gateway:
            for path, expected in (
                ("/cached", ["counted"]),
                ("/fresh", ["counted", "counted"]),
                ("/scope", ["early ended", "late ended"]),
                ("/scopes", ["scopes a b"]),
            ):
                ran.names.clear()
                assert (await gateway.client.get(path)).status_code == 200
                assert ran.names == expected
            await asyncio.gather(*(gateway.client.get("/alone") for _ in range(3)))
    assert most == 1


def nothing() -> None: ...


async def test_no_endpoint_stands_before_a_route_with_dependencies() -> None:
    """The table has found the route: FastAPI's order of endpoints does not count."""
    ran = Ran()
    app = Gateway()

    @app.get("/{page}")
    def page(page: str) -> str:
        return f"page {page}"

    mounted = FastAPI()
    app.mount("/m", mounted)
    del page
    async with ScriptedUpstream(saying(*[OK] * 4)) as upstream:
        service = Upstream("svc", [upstream.url])
        guards = [Depends(lambda: ran("guard"))]
        app.forward("/admin", upstream=service, allow=anyone, dependencies=guards)
        app.forward("/m/api/{path:path}", upstream=service, allow=anyone, dependencies=guards)
        async with serving(app) as gateway:
            assert (await gateway.client.get("/admin")).json() is True
            assert (await gateway.client.get("/m/api/z")).json() is True
            assert (await gateway.client.get("/other")).json() == "page other"
    assert ran.names == ["guard", "guard"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transfer-encoding", "chunked"),
        ("x-request-id", "mine"),
        ("x-a", "b\r\nset-cookie: evil=1"),
        ("Content-Encoding", "gzip"),
    ],
)
async def test_a_header_line_that_would_break_the_answer_is_an_error_before_the_service_is_asked(
    name: str, value: str
) -> None:
    def sets(response: Response) -> None:
        response.headers.raw.append((name.encode(), value.encode()))

    app = Gateway()
    async with ScriptedUpstream(saying(OK)) as upstream:
        app.forward("/x", upstream=Upstream("svc", [upstream.url]), allow=anyone, dependencies=[Depends(sets)])
        async with serving(app) as gateway:
            answer = await gateway.client.get("/x")
        assert upstream.connections == 0
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "evil" not in answer.headers.get("set-cookie", "")


async def test_lines_of_dependencies_are_for_answers_of_the_service_and_policies_come_behind_them() -> None:
    def sets(response: Response) -> None:
        response.headers["vary"] = "x-mine"
        response.headers["x-frame-options"] = "SAMEORIGIN"

    said = b"HTTP/1.1 200 OK\r\nvary: accept\r\ncontent-length: 2\r\n\r\nok"
    app = Gateway(policies=[Headers(answer=Edits(set={"x-frame-options": "DENY"}))])
    async with ScriptedUpstream(saying(said)) as upstream:
        group = app.group("", upstream=Upstream("svc", [upstream.url]), allow=anyone, dependencies=[Depends(sets)])

        @group.get("/x")
        def x(number: int) -> Any: ...

        del x
        async with serving(app) as gateway:
            answer = await gateway.client.get("/x?number=1")
            refused = await gateway.client.get("/x?number=x")
    assert answer.headers.get_list("vary") == ["accept", "x-mine"]
    assert answer.headers.get_list("x-frame-options") == ["DENY"]
    assert refused.status_code == 422
    assert "vary" not in refused.headers


async def test_the_body_of_a_request_that_a_dependency_refuses_does_not_break_the_connection() -> None:
    def refuse() -> None:
        raise HTTPException(403)

    app = Gateway()
    async with ScriptedUpstream(saying(OK)) as upstream:
        app.forward("/x", upstream=Upstream("svc", [upstream.url]), allow=anyone, dependencies=[Depends(refuse)])
        async with serving(app) as gateway:
            size = 3 * 1024 * 1024
            head = b"POST /x HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n" % size
            got = await gateway.raw(head + b"x" * 65536)
    assert got.startswith(b"HTTP/1.1 403 ")
    assert b"connection: close" in got.lower()


async def test_included_again_with_other_dependencies_a_router_has_these() -> None:
    def deny() -> None:
        raise HTTPException(403)

    app, router = Gateway(), Router()
    async with ScriptedUpstream(saying(OK, OK)) as upstream:
        router.forward("/x", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        app.include_router(router, prefix="/api")
        async with serving(app) as gateway:
            assert (await gateway.client.get("/api/x")).status_code == 200
            app.router.routes.pop()
            app.include_router(router, prefix="/api", dependencies=[Depends(deny)])
            app.compile()
            assert (await gateway.client.get("/api/x")).status_code == 403
            assert app.describe()[0].reason == "dependencies run before it: deny"


async def test_a_dependency_of_a_gateway_route_knows_the_caller() -> None:
    ran = Ran()

    def note(principal: Annotated[Principal, Depends(caller)]) -> None:
        ran(principal.id)

    app = Gateway(auth=JWT)
    async with ScriptedUpstream(saying(OK)) as upstream:
        service = Upstream("svc", [upstream.url])
        app.forward("/x", upstream=service, allow=signed_in, dependencies=[Depends(note)])
        async with serving(app) as gateway:
            headers = {"authorization": f"Bearer {issue(JWT, 7, 'default')}"}
            assert (await gateway.client.get("/x", headers=headers)).status_code == 200
    assert ran.names == ["7"]
