"""What every service gets from the kit: health checks, problems, request ids, identity, fields, pagination."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Response
from openapi_spec_validator import validate
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tortoise.exceptions import DoesNotExist, IntegrityError

from limen_kit.app import MAX_BODY, create_service
from limen_kit.fields import Form, LongText, RowId, ShortText
from limen_kit.identity import AdminCaller, CurrentCaller
from limen_kit.paging import Page
from limen_kit.problems import MAX_ERRORS, Problem, responses
from limen_kit.settings import ServiceSettings
from limen_kit.testing import running

router = APIRouter()
database_is_up = True


class Note(Form):
    title: ShortText
    text: LongText = "-"


@router.post("/notes", responses=responses(400, 413))
async def create(note: Note) -> Note:
    return note


@router.get("/rows/{number}")
async def row(number: RowId) -> int:
    return number


@router.get("/pages")
async def pages(page: Page, response: Response) -> list[int]:
    return [page.limit, page.offset]


@router.get("/me", responses=responses(401))
async def me(caller: CurrentCaller) -> list[str | int]:
    return [caller.id, caller.role]


@router.get("/admin", responses=responses(401, 403))
async def admin(caller: AdminCaller) -> int:
    return caller.id


@router.get("/raise/{kind}")
async def raise_error(kind: str) -> None:
    errors: dict[str, Exception] = {
        "problem": Problem(409, "clash", "They clash.", {"x-more": "1"}),
        "http": HTTPException(418, "A teapot."),
        "integrity": IntegrityError('duplicate key value violates "secret_constraint"'),
        "missing": DoesNotExist("SELECT secret"),
        "bug": RuntimeError("a secret"),
    }
    raise errors[kind]


async def ready() -> None:
    if not database_is_up:
        raise ConnectionError("postgres://user:secret@db refused")


@pytest.fixture
async def client() -> AsyncGenerator[httpx2.AsyncClient]:
    settings = ServiceSettings(database_url="sqlite://unused", identity_keys="plain")
    app = create_service("Test", settings=settings, tortoise_orm=None, routers=[router], ready=ready)
    async with running(app) as http:
        yield http


async def test_health_and_readiness(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    monkeypatch.setitem(globals(), "database_is_up", False)
    assert (await client.get("/healthz")).status_code == 200
    response = await client.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "not_ready")
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("kind", "status", "code", "detail"),
    [
        ("problem", 409, "clash", "They clash."),
        ("http", 418, "error", "A teapot."),
        ("integrity", 409, "conflict", "This conflicts with what is stored already."),
        ("missing", 404, "not_found", "There is no such thing."),
        ("bug", 500, "internal_error", "The service failed to answer; its log says more."),
    ],
)
async def test_every_error_is_a_problem_without_internal_details(
    client: httpx2.AsyncClient, kind: str, status: int, code: str, detail: str
) -> None:
    response = await client.get(f"/raise/{kind}", headers={"x-request-id": "r-1"})
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"] == "r-1"
    document = response.json()
    assert document.pop("title")
    assert document == {
        "type": "about:blank",
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": "r-1",
    }
    assert response.headers.get("x-more") == ("1" if kind == "problem" else None)


async def test_unknown_paths_and_methods(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/nothing")).json()["code"] == "not_found"
    response = await client.delete("/notes")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


async def test_head_answers_wherever_get_does(client: httpx2.AsyncClient) -> None:
    head, response = await client.head("/pages"), await client.get("/pages")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == response.headers["content-length"]
    assert (await client.head("/notes")).status_code == 405


async def test_invalid_input_is_named_and_never_echoed(client: httpx2.AsyncClient) -> None:
    response = await client.post("/notes", json={"title": "x" * 300 + "s3cret", "extra": 1})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert [error["loc"] for error in response.json()["errors"]] == [["body", "title"], ["body", "extra"]]
    assert "s3cret" not in response.text


@pytest.mark.parametrize(
    ("title", "status"),
    [
        ("plain", 200),
        (" Łódź 🎉 ", 200),
        ("x" * 200, 200),
        ("x" * 201, 422),
        ("", 422),
        ("   ", 422),
        ("a\x00b", 422),
        ("a\nb", 422),
        ("a\x7fb", 422),
        ("a\x85b", 422),
        (5, 422),
        (None, 422),
    ],
)
async def test_short_texts(client: httpx2.AsyncClient, title: Any, status: int) -> None:
    assert (await client.post("/notes", json={"title": title})).status_code == status


async def test_long_texts_may_have_lines_but_no_surrogates(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/notes", json={"title": "t", "text": "a\n\tb"})).status_code == 200
    assert (await client.post("/notes", json={"title": "t", "text": "a\x00b"})).status_code == 422
    headers = {"content-type": "application/json"}
    lone_surrogate = await client.post("/notes", content=b'{"title": "\\ud800"}', headers=headers)
    assert lone_surrogate.status_code == 422
    for content in (b"{", b'{"title": "\xff"}', b'{"title": ' + b"9" * 5000 + b"}", b"[" * 60_000):
        response = await client.post("/notes", content=content, headers=headers)
        assert response.status_code in (400, 422), response.text
        assert response.headers["content-type"] == "application/problem+json"


async def test_bodies_are_bounded(client: httpx2.AsyncClient) -> None:
    response = await client.post("/notes", content=b" " * (MAX_BODY + 1), headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("number", "status"),
    [("1", 200), ("2147483647", 200), ("0", 422), ("2147483648", 422), ("9" * 5000, 422), ("x", 422)],
)
async def test_row_ids(client: httpx2.AsyncClient, number: str, status: int) -> None:
    assert (await client.get(f"/rows/{number}")).status_code == status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?limit=100&offset=5", 200),
        ("?limit=0", 422),
        ("?limit=101", 422),
        ("?offset=-1", 422),
        ("?q=%00", 422),
        ("?lmit=1", 422),
    ],
)
async def test_pages(client: httpx2.AsyncClient, query: str, status: int) -> None:
    assert (await client.get(f"/pages{query}")).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"request-user-id": "x"},
        {"request-user-id": "0"},
        {"request-user-id": "-1"},
        {"request-user-id": "9" * 30},
        {"request-user-id": "1, 2"},
    ],
)
async def test_a_request_without_identity_is_refused(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    response = await client.get("/me", headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "identity_missing")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_identity_comes_from_the_gateways_headers(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/me", headers={"request-user-id": "7"})).json() == [7, "default"]
    admin_headers = {"request-user-id": "1", "request-user-role": "admin"}
    assert (await client.get("/me", headers=admin_headers)).json() == [1, "admin"]
    assert (await client.get("/admin", headers=admin_headers)).json() == 1
    twice = [("request-user-id", "1"), ("request-user-id", "2")]
    assert (await client.get("/me", headers=twice)).status_code == 401
    roles = [("request-user-id", "1"), ("request-user-role", "default"), ("request-user-role", "admin")]
    assert (await client.get("/me", headers=roles)).status_code == 401
    response = await client.get("/admin", headers={"request-user-id": "7"})
    assert (response.status_code, response.json()["detail"]) == (403, "You are not allowed to access this scope.")


async def test_the_log_names_the_request(client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    from limen_kit import logs

    logs.configure("INFO")  # again, now that stderr is captured
    await client.get("/healthz", headers={"x-request-id": "mine-7"})
    await client.get("/healthz", headers={"x-request-id": "not\tone token"})
    lines = capsys.readouterr().err.splitlines()
    assert any("request_id=mine-7 GET /healthz 200" in line for line in lines)
    assert not any("not\tone" in line for line in lines)
    logging.getLogger("uvicorn.error").info("started")
    assert capsys.readouterr().err.endswith(" INFO uvicorn request_id=- started\n")
    logging.getLogger().handlers.clear()


async def test_the_document_is_valid(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    validate(document)
    assert {"400", "413", "422", "200"} == set(document["paths"]["/notes"]["post"]["responses"])
    assert "ProblemBody" in document["components"]["schemas"]
    assert document["paths"]["/notes"]["post"]["operationId"] == "create"


async def test_the_list_of_errors_is_bounded(client: httpx2.AsyncClient) -> None:
    names = {f"unknown-{n}" + "x" * 100: "s3cret" for n in range(MAX_ERRORS + 20)}
    response = await client.post("/notes", json={"title": "a", **names})
    assert response.status_code == 422
    document = response.json()
    assert (len(document["errors"]), document["errors_omitted"]) == (MAX_ERRORS, 20)
    assert all(len(name) <= 64 for place in document["errors"] for name in place["loc"])
    assert "s3cret" not in response.text
    short = (await client.post("/notes", json={})).json()
    assert len(short["errors"]) == 1
    assert "errors_omitted" not in short


class Bell:
    """A part that says when it runs; ``broken`` makes it not ready."""

    def __init__(self, name: str, heard: list[str]) -> None:
        self._name = name
        self._heard = heard
        self.broken = False
        self.routers = [APIRouter(prefix=f"/{name}")]
        self.routers[0].add_api_route("", self._answer)
        self.middleware = [Middleware(Named, name=name)]

    async def _answer(self) -> str:
        return self._name

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncGenerator[None]:
        self._heard.append(f"{self._name} begins")
        yield
        self._heard.append(f"{self._name} ends")

    async def ready(self) -> None:
        if self.broken:
            raise ValueError("no clapper")


class Named:
    """Adds a header to every answer."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-bell", self._name.encode())]
            await send(message)

        await self._app(scope, receive, named if scope["type"] == "http" else send)


async def test_parts_have_routes_and_middleware_and_run_within_each_other() -> None:
    heard: list[str] = []
    first, second = Bell("first", heard), Bell("second", heard)
    settings = ServiceSettings(database_url="sqlite://:memory:", identity_keys="plain")
    app = create_service("Bells", settings=settings, tortoise_orm=None, parts=[first, second], ready=second.ready)
    async with running(app) as client:
        assert heard == ["first begins", "second begins"]
        answer = await client.get("/second")
        assert (answer.json(), answer.headers.get_list("x-bell")) == ("second", ["second", "first"])
        assert (await client.get("/readyz")).status_code == 200
        first.broken = True
        assert (await client.get("/readyz")).status_code == 503
    assert heard[2:] == ["second ends", "first ends"]
