"""Logins that are refused before FastAPI sees them: told as a path operation would tell it, and nothing else is changed."""

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
from serving import serving
from shop_users.app import create_app
from shop_users.guessing import Attempt, Guessing
from shop_users.passwords import Passwords
from shop_users.settings import Settings

JSON = "application/json"
BY_ROUTE = "application/json; charset=utf-8"  # the same to FastAPI, which is left to read it
JOHN = {"username": "johndoe", "password": "b"}
ADDRESS = "192.0.2.1"


class Room(Passwords):
    """Has room when it is told so, and finds every password right."""

    taken = False

    @property
    def full(self) -> bool:
        return self.taken

    async def verified(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        return hashed is not None and password == "b", None


class Routed:
    """Counts what goes on to the routes."""

    def __init__(self, app: ASGIApp, seen: list[str]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._seen.append(scope["path"])
        await self._app(scope, receive, send)


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def routed() -> list[str]:
    return []


@pytest.fixture
def app(tmp_path: Path, room: Room, routed: list[str], monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr("shop_users.passwords.choice", max)  # when to come back is the same for all
    app = create_app(Settings(database_url=f"json:{tmp_path}/users.json", demo=True))
    app.user_middleware.append(Middleware(Routed, seen=routed))  # the innermost
    app.state.now = lambda: 1000.0
    return app


@pytest.fixture
async def client(app: FastAPI, room: Room) -> AsyncGenerator[httpx2.AsyncClient]:
    async with running(app) as found:
        app.state.passwords = room
        yield found


async def post(client: httpx2.AsyncClient, kind: str, body: bytes | None = None) -> httpx2.Response:
    headers = {"content-type": kind, "x-forwarded-for": ADDRESS, "x-request-id": "r-1"}
    return await client.post("/api/login", content=json.dumps(JOHN).encode() if body is None else body, headers=headers)


def fail(guessing: Guessing, times: int, account: str, address: str | None) -> None:
    for _ in range(times):
        attempt = guessing.attempt(account, address, 0)
        assert isinstance(attempt, Attempt)
        guessing.failed(attempt, 1000)


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("busy", 503, "busy"),
        ("account", 429, "too_many_attempts"),
        ("address", 429, "too_many_attempts"),
        ("both", 429, "too_many_attempts"),
    ],
)
async def test_a_refusal_is_the_one_of_the_route_to_the_byte_and_in_the_log(
    app: FastAPI,
    client: httpx2.AsyncClient,
    room: Room,
    routed: list[str],
    caplog: pytest.LogCaptureFixture,
    what: str,
    status: int,
    code: str,
) -> None:
    guessing: Guessing = app.state.guessing
    if what in ("account", "both"):
        fail(guessing, 6, "johndoe", None)
    if what == "address":
        for number in range(21):
            fail(guessing, 1, f"user{number}", ADDRESS)
    room.taken = what in ("busy", "both")
    before = repr(guessing)
    told: list[tuple[int, list[tuple[str, str]], bytes]] = []
    lines: list[list[str]] = []
    for kind in (JSON, BY_ROUTE):
        caplog.clear()
        with caplog.at_level(logging.INFO, "shop_users.audit"):
            got = await post(client, kind)
        told.append((got.status_code, sorted(got.headers.multi_items()), got.content))
        lines.append([record.message for record in caplog.records if record.name == "shop_users.audit"])
        assert len(routed) == (kind == BY_ROUTE)
    assert told[0] == told[1]
    assert lines[0] == lines[1]
    assert len(lines[0]) == 1
    assert (told[0][0], json.loads(told[0][2])["code"]) == (status, code)
    assert repr(guessing) == before


async def test_whoever_is_known_is_not_held_back_by_others_at_the_address(
    app: FastAPI, client: httpx2.AsyncClient, routed: list[str]
) -> None:
    assert (await post(client, JSON)).status_code == 201
    for number in range(21):
        fail(app.state.guessing, 1, f"user{number}", ADDRESS)
    assert (await post(client, JSON)).status_code == 201
    assert len(routed) == 2
    other = json.dumps({"username": "test", "password": "test"}).encode()
    assert (await post(client, JSON, other)).status_code == 429
    assert len(routed) == 2


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
async def test_what_is_wrong_or_large_goes_to_the_route_as_it_came(
    client: httpx2.AsyncClient, room: Room, routed: list[str], body: bytes, status: int
) -> None:
    room.taken = True
    told: list[tuple[int, bytes]] = []
    for kind in (JSON, BY_ROUTE):
        got = await post(client, kind, body)
        told.append((got.status_code, got.content))
    assert told[0] == told[1]
    assert told[0][0] == status
    assert len(routed) == 2


async def test_other_paths_methods_and_types_are_left_alone(
    client: httpx2.AsyncClient, room: Room, routed: list[str]
) -> None:
    room.taken = True
    assert (await client.get("/api/login")).status_code == 405
    assert (await client.post("/api/logins", json=JOHN)).status_code == 404
    assert (await client.get("/healthz")).status_code == 200
    assert (await post(client, "text/plain")).status_code == 422
    assert len(routed) == 4


async def answer(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Read one answer, and no byte more."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body: dict[str, Any] = json.loads(await reader.readexactly(length))
    return body


async def test_the_connection_goes_on_after_a_refusal_however_the_body_came(app: FastAPI, room: Room) -> None:
    head = b"POST /api/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    body = json.dumps(JOHN).encode()
    whole = head + b"content-length: %d\r\n\r\n" % len(body) + body
    async with serving(app) as served:
        app.state.passwords = room
        room.taken = True
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        try:
            writer.write(whole)
            assert (await answer(reader))["code"] == "busy"
            # Chunked, and slowly: byte by byte.
            for byte in head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body):
                writer.write(bytes((byte,)))
                await writer.drain()
            assert (await answer(reader))["code"] == "busy"
            # Two at once, the first of which is too large to be read early.
            large = body + b" " * 60_000
            writer.write(head + b"content-length: %d\r\n\r\n" % len(large) + large + whole)
            assert [(await answer(reader))["code"] for _ in range(2)] == ["busy", "busy"]
            room.taken = False
            writer.write(whole)
            assert (await answer(reader))["username"] == "johndoe"
        finally:
            writer.close()
            await writer.wait_closed()


async def test_a_client_that_leaves_within_its_body_is_no_login(
    app: FastAPI, room: Room, routed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(app) as served:
        app.state.passwords = room
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            b"POST /api/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await served.client.get("/healthz")).status_code == 200
    assert "event=login" not in caplog.text
