"""The gateway's own endpoints: problems, bounds, and clients that leave."""

import asyncio
import logging

import pytest
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict
from starlette.types import Message

from engines import ENGINES, Engine
from limen import Gateway, Upstream, anyone
from limen.contract.violations import MOST_LISTED, NAME_LENGTH
from limen.runtime.route import DEFAULT_HELD
from limen.testing import ScriptedUpstream, saying
from serving import serving, until

HALF = b"POST /count HTTP/1.1\r\nhost: gateway\r\ncontent-length: 1000\r\n\r\nhalf"


async def test_a_client_that_leaves_before_its_body_is_whole_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    app = Gateway()
    begun, ended = asyncio.Event(), asyncio.Event()

    @app.post("/count")
    async def count(request: Request) -> int:
        begun.set()
        try:
            return len(await request.body())
        finally:
            ended.set()

    del count
    with caplog.at_level(logging.INFO):
        async with serving(app) as gateway:
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(HALF)
            await begun.wait()
            writer.close()
            await ended.wait()
    said = [record.getMessage() for record in caplog.records if record.name == "limen.app.local"]
    assert said == ["POST /count: the client left before its body was whole"]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


def local(max_body_size: int | None = None) -> Gateway:
    app = Gateway(max_body_size=max_body_size)
    included = APIRouter()

    @app.post("/login")
    async def login(form: Login) -> int:
        return len(form.name)

    @app.api_route("/large", methods=["POST"], max_body_size=2 * DEFAULT_HELD)
    async def large(form: Login) -> int:
        return len(form.name)

    @included.post("/included")
    async def of_a_router(form: Login) -> int:
        return len(form.name)

    app.include_router(included)
    del login, large, of_a_router
    return app


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/login", DEFAULT_HELD, 200),
        ("/login", DEFAULT_HELD + 1, 413),
        ("/included", DEFAULT_HELD + 1, 413),
        ("/large", 2 * DEFAULT_HELD, 200),
        ("/large", 2 * DEFAULT_HELD + 1, 413),
    ],
)
async def test_a_body_of_a_local_endpoint_is_bounded(path: str, size: int, status: int) -> None:
    content = b'{"name":"' + b"x" * (size - 11) + b'"}'
    async with serving(local()) as gateway:
        got = await gateway.client.post(path, content=content, headers={"content-type": "application/json"})
    assert got.status_code == status


class Wide(BaseModel):
    a: int
    b: int
    c: int
    d: int


def wide() -> Gateway:
    app = Gateway()
    inner, outer = APIRouter(), APIRouter()

    @app.post("/own")
    async def own(items: list[Wide]) -> int:
        return len(items)

    @app.post("/two")
    async def two(items: list[Wide], more: list[Wide]) -> int:
        return len(items) + len(more)

    @inner.post("/inner")
    async def included(items: list[Wide]) -> int:
        return len(items)

    del own, two, included
    outer.include_router(inner, prefix="/b")
    app.include_router(outer, prefix="/a")
    return app


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("/own", "ITEMS", 4),
        ("/a/b/inner", "ITEMS", 4),
        ("/two", '{"items":ITEMS,"more":ITEMS}', 8),
    ],
)
async def test_of_a_large_body_the_first_violation_of_each_collection_is_listed(
    engine: Engine, path: str, body: str, found: int
) -> None:
    """FastAPI would find all of them, and list them."""
    content = body.replace("ITEMS", "[" + ",".join(["{}"] * 8000) + "]")
    async with serving(wide(), engine) as gateway:
        got = await gateway.client.post(path, content=content, headers={"content-type": "application/json"})
        assert got.status_code == 422
        assert len(got.json()["errors"]) == found
        assert "errors_omitted" not in got.json()
        fits = "[" + ",".join(['{"a":1,"b":2,"c":3,"d":4}'] * 1000) + "]"
        got = await gateway.client.post("/own", content=fits, headers={"content-type": "application/json"})
        assert (got.status_code, got.json()) == (200, 1000)


async def test_of_a_small_body_all_violations_are_listed() -> None:
    async with serving(wide()) as gateway:
        got = await gateway.client.post(
            "/own", content="[" + ",".join(["{}"] * 30) + "]", headers={"content-type": "application/json"}
        )
        assert (len(got.json()["errors"]), got.json()["errors_omitted"]) == (MOST_LISTED, 4 * 30 - MOST_LISTED)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_body_of_too_many_values_is_refused_before_it_is_read(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "limen.access")
    called: list[int] = []
    app = Gateway()

    @app.post("/any")
    async def anything(request: Request) -> int:
        called.append(len(await request.body()))
        return 0

    del anything
    many = "[" + ",".join(["{}"] * 87000) + "]"
    text = '["' + "{}," * 87000 + '"]'  # in a string they are no values
    async with serving(app, engine) as gateway:
        for kind, content, status in (
            ("application/json", many, 422),
            ("application/problem+json", many, 422),
            ("application/json", text, 200),
            ("text/plain", many, 200),
        ):
            got = await gateway.client.post("/any", content=content, headers={"content-type": kind})
            assert (got.status_code, kind) == (status, kind)
            if status == 422:
                assert got.json()["errors"][0]["type"] == "too_many_values"
                assert got.json()["code"] == "invalid_request"
                assert got.json()["request_id"] == got.headers["x-request-id"]
    assert called == [len(text), len(many)]
    assert [("code=invalid_request" in line) for line in caplog.messages if "POST /any" in line][:2] == [True, True]


async def test_of_a_client_that_leaves_amid_json_half_a_document_is_not_judged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Under any server: only below our protocols does the connection say more of its end."""
    caplog.set_level(logging.INFO, "limen.access")
    app = Gateway()

    @app.post("/any")
    async def anything(request: Request) -> int:
        return len(await request.body())

    del anything
    messages = iter(
        [
            {"type": "http.request", "body": b"[" + b"{}," * 80000, "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        """Nobody is there, which is no error to a server."""

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/any",
        "query_string": b"",
        "headers": [(b"host", b"g"), (b"content-type", b"application/json"), (b"content-length", b"262000")],
    }
    await app(scope, receive, send)
    await until(lambda: any(record.name == "limen.access" for record in caplog.records))
    (line,) = [record.getMessage() for record in caplog.records if record.name == "limen.access"]
    assert "POST /any 499 " in line
    assert "code=client_closed" in line


@pytest.mark.parametrize("engine", ENGINES)
async def test_json_of_too_many_values_is_refused_to_added_endpoints_and_mounted_applications_too(
    engine: Engine,
) -> None:
    app, mounted = Gateway(), FastAPI()

    @mounted.post("/any")
    async def inner(request: Request) -> int:
        return len(await request.body())

    app.mount("/mounted", mounted)
    many = "[" + ",".join(["{}"] * 87000) + "]"
    async with serving(app, engine) as gateway:

        @app.post("/added")
        async def added(request: Request) -> int:
            return len(await request.body())

        for path in ("/mounted/any", "/added"):
            got = await gateway.client.post(path, content=many, headers={"content-type": "application/json"})
            assert (got.status_code, got.json()["errors"][0]["type"]) == (422, "too_many_values")
    del inner, added


async def test_a_bound_of_the_application_stays_as_it_is_given() -> None:
    content = b'{"name":"' + b"x" * DEFAULT_HELD + b'"}'
    async with serving(local(2 * DEFAULT_HELD)) as gateway:
        got = await gateway.client.post("/login", content=content, headers={"content-type": "application/json"})
    assert got.status_code == 200


async def test_what_streams_to_a_service_is_not_bounded_by_it() -> None:
    async with ScriptedUpstream(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) as upstream:
        app = local()
        app.forward("/upload", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        for engine in ENGINES:
            async with serving(app, engine) as gateway:
                assert (await gateway.client.post("/upload", content=b"x" * (DEFAULT_HELD + 1))).text == "ok"


async def test_what_is_told_of_a_wrong_body_is_bounded() -> None:
    names = {f"unknown-{n}" + "x" * 100: "s3cret" for n in range(MOST_LISTED + 20)}
    async with serving(local()) as gateway:
        got = await gateway.client.post("/login", json={"name": "a", **names})
        few = await gateway.client.post("/login", json={})
    told = got.json()
    assert (got.status_code, len(told["errors"]), told["errors_omitted"]) == (422, MOST_LISTED, 20)
    assert all(len(name) <= NAME_LENGTH for place in told["errors"] for name in place["loc"])
    assert "s3cret" not in got.text
    assert few.json()["errors"] == [{"loc": ["body", "name"], "msg": "Field required", "type": "missing"}]
    assert "errors_omitted" not in few.json()
