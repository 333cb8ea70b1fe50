"""Logins that the middleware refuses: the answer is the path operation's, and all other requests pass unchanged."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from limen_kit.testing import running
from limen_kit.testing.serving import serving
from shop_users.login_throttle import Attempt, LoginThrottle
from shop_users.passwords import PasswordHasher
from shop_users.service import create_app
from shop_users.settings import Settings

JSON_TYPE = "application/json"
JSON_FOR_ROUTE = "application/json; charset=utf-8"  # the same to FastAPI, which is left to read it
JOHN = {"username": "johndoe", "password": "b"}
ADDRESS = "192.0.2.1"


class FakeHasher(PasswordHasher):
    """Is full when a test says so; the password ``b`` is always right."""

    is_full = False

    @property
    def full(self) -> bool:
        return self.is_full

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        return hashed is not None and password == "b", None


class RecordingMiddleware:
    """Records the requests that reach the routes."""

    def __init__(self, app: ASGIApp, paths: list[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._paths.append(scope["path"])
        await self._app(scope, receive, send)


@pytest.fixture
def hasher() -> FakeHasher:
    return FakeHasher()


@pytest.fixture
def routed_paths() -> list[str]:
    return []


@pytest.fixture
def app(tmp_path: Path, hasher: FakeHasher, routed_paths: list[str], monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr("shop_users.passwords.choice", max)  # when to come back is the same for all
    app = create_app(Settings(database_url=f"json:{tmp_path}/users.json", identity_keys="plain", demo=True))
    app.user_middleware.append(Middleware(RecordingMiddleware, paths=routed_paths))  # the innermost
    app.state.now = lambda: 1000.0
    return app


@pytest.fixture
async def client(app: FastAPI, hasher: FakeHasher) -> AsyncGenerator[httpx2.AsyncClient]:
    async with running(app) as http:
        app.state.password_hasher = hasher
        yield http


async def post(client: httpx2.AsyncClient, content_type: str, body: bytes | None = None) -> httpx2.Response:
    headers = {"content-type": content_type, "x-forwarded-for": ADDRESS, "x-request-id": "r-1"}
    return await client.post("/api/login", content=json.dumps(JOHN).encode() if body is None else body, headers=headers)


def fail(throttle: LoginThrottle, times: int, account: str, address: str | None) -> None:
    for _ in range(times):
        attempt = throttle.attempt(account, address, 0)
        assert isinstance(attempt, Attempt)
        throttle.failed(attempt, 1000)


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        ("busy", 503, "busy"),
        ("account", 429, "too_many_attempts"),
        ("address", 429, "too_many_attempts"),
        ("both", 429, "too_many_attempts"),
    ],
)
async def test_a_refusal_equals_that_of_the_route_in_bytes_and_in_the_log(
    app: FastAPI,
    client: httpx2.AsyncClient,
    hasher: FakeHasher,
    routed_paths: list[str],
    caplog: pytest.LogCaptureFixture,
    reason: str,
    status: int,
    code: str,
) -> None:
    throttle: LoginThrottle = app.state.login_throttle
    if reason in ("account", "both"):
        fail(throttle, 6, "johndoe", None)
    if reason == "address":
        for number in range(21):
            fail(throttle, 1, f"user{number}", ADDRESS)
    hasher.is_full = reason in ("busy", "both")
    before = repr(throttle)
    responses: list[tuple[int, list[tuple[str, str]], bytes]] = []
    lines: list[list[str]] = []
    for content_type in (JSON_TYPE, JSON_FOR_ROUTE):
        caplog.clear()
        with caplog.at_level(logging.INFO, "shop_users.audit"):
            response = await post(client, content_type)
        responses.append((response.status_code, sorted(response.headers.multi_items()), response.content))
        lines.append([record.message for record in caplog.records if record.name == "shop_users.audit"])
        assert len(routed_paths) == (content_type == JSON_FOR_ROUTE)
    assert responses[0] == responses[1]
    assert lines[0] == lines[1]
    assert len(lines[0]) == 1
    assert (responses[0][0], json.loads(responses[0][2])["code"]) == (status, code)
    assert repr(throttle) == before


async def test_a_known_account_is_not_delayed_by_others_at_its_address(
    app: FastAPI, client: httpx2.AsyncClient, routed_paths: list[str]
) -> None:
    assert (await post(client, JSON_TYPE)).status_code == 201
    for number in range(21):
        fail(app.state.login_throttle, 1, f"user{number}", ADDRESS)
    assert (await post(client, JSON_TYPE)).status_code == 201
    assert len(routed_paths) == 2
    other = json.dumps({"username": "test", "password": "test"}).encode()
    assert (await post(client, JSON_TYPE, other)).status_code == 429
    assert len(routed_paths) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"null", 422),
        (b"[" * 4000, 400),
        (b"\xff\xfe", 422),
        (b'{"username": "johndoe"}', 422),
        (b'{"username": "johndoe", "password": ""}', 422),
        (b'{"username": "johndoe", "password": "b", "more": 1}', 422),
        (b'{"username": "a\\u0000", "password": "b"}', 422),
        (b'{"username": "johndoe", "password": "b"}' + b" " * 4096, 503),
        (b'{"username": "johndoe", "password": "b"}' + b" " * (1 << 20), 413),
    ],
)
async def test_invalid_and_large_bodies_reach_the_route_unchanged(
    client: httpx2.AsyncClient, hasher: FakeHasher, routed_paths: list[str], body: bytes, status: int
) -> None:
    hasher.is_full = True
    responses: list[tuple[int, bytes]] = []
    for content_type in (JSON_TYPE, JSON_FOR_ROUTE):
        response = await post(client, content_type, body)
        responses.append((response.status_code, response.content))
    assert responses[0] == responses[1]
    assert responses[0][0] == status
    assert len(routed_paths) == 2


async def test_other_paths_methods_and_types_are_left_alone(
    client: httpx2.AsyncClient, hasher: FakeHasher, routed_paths: list[str]
) -> None:
    hasher.is_full = True
    assert (await client.get("/api/login")).status_code == 405
    assert (await client.post("/api/logins", json=JOHN)).status_code == 404
    assert (await client.get("/healthz")).status_code == 200
    assert (await post(client, "text/plain")).status_code == 422
    assert len(routed_paths) == 4


async def read_response(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Read exactly one response."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body: dict[str, Any] = json.loads(await reader.readexactly(length))
    return body


async def test_the_connection_stays_usable_after_a_refusal(app: FastAPI, hasher: FakeHasher) -> None:
    head = b"POST /api/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    body = json.dumps(JOHN).encode()
    whole = head + b"content-length: %d\r\n\r\n" % len(body) + body
    async with serving(app) as served:
        app.state.password_hasher = hasher
        hasher.is_full = True
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        try:
            writer.write(whole)
            assert (await read_response(reader))["code"] == "busy"
            # Chunked, and slowly: byte by byte.
            for byte in head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body):
                writer.write(bytes((byte,)))
                await writer.drain()
            assert (await read_response(reader))["code"] == "busy"
            # Two at once; the first is too large for the middleware to parse.
            large = body + b" " * 60_000
            writer.write(head + b"content-length: %d\r\n\r\n" % len(large) + large + whole)
            assert [(await read_response(reader))["code"] for _ in range(2)] == ["busy", "busy"]
            hasher.is_full = False
            writer.write(whole)
            assert (await read_response(reader))["username"] == "johndoe"
        finally:
            writer.close()
            await writer.wait_closed()


async def test_a_client_that_disconnects_within_its_body_is_no_login(
    app: FastAPI, hasher: FakeHasher, routed_paths: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(app) as served:
        app.state.password_hasher = hasher
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            b"POST /api/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await served.client.get("/healthz")).status_code == 200
    assert "event=login" not in caplog.text
