"""What the gateway itself says: one kind of document, the right status, and nothing reaches the service."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from time import time
from typing import Annotated

import pytest
from fastapi import Header, Query
from pydantic import BaseModel, ConfigDict

from limen import Gateway, Upstream, anyone, owner, role, signed_in
from limen.auth import Jwt, issue
from limen.gates.jwt import issue as issue_at
from limen.testing import Conversation, ScriptedUpstream, saying
from serving import Served, serving

AUTH = Jwt("k" * 32)
ADMIN = {"authorization": f"Bearer {issue(AUTH, 1, 'admin')}"}
USER = {"authorization": f"Bearer {issue(AUTH, 7, 'default')}"}
OK = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"id": 5}'


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = 1


def build(url: str) -> Gateway:
    app = Gateway(auth=AUTH)
    svc = app.group("", upstream=Upstream("svc", [url]))

    @svc.get("/public", allow=anyone)
    def public(limit: Annotated[int, Query(ge=1)] = 1) -> None: ...

    @svc.get("/mine", allow=signed_in)
    def mine() -> None: ...

    @svc.get("/admin/{number}", allow=role("admin"))
    def admin(number: int) -> None: ...

    @svc.get("/users/{user_id}", allow=owner("user_id") | role("admin"))
    def user(user_id: int) -> None: ...

    @svc.post("/items", allow=signed_in, max_body=100)
    def create(item: Item, x_tag: Annotated[str, Header(max_length=3)] = "") -> None: ...

    @svc.put("/upload", allow=anyone, max_body=10)
    def upload() -> None: ...

    del public, mine, admin, user, create, upload
    return app


@pytest.fixture
async def upstream() -> AsyncGenerator[ScriptedUpstream]:
    async with ScriptedUpstream(saying(*[OK] * 20)) as found:
        yield found


@pytest.fixture
async def gateway(upstream: ScriptedUpstream) -> AsyncGenerator[Served]:
    async with serving(build(upstream.url)) as served:
        yield served


async def test_a_refusal_is_a_problem_document(gateway: Served, upstream: ScriptedUpstream) -> None:
    got = await gateway.client.get("/mine", headers={"x-request-id": "r-1"})
    assert got.headers["content-type"] == "application/problem+json"
    assert got.json() == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "Auth token is missing in headers.",
        "code": "token_missing",
        "request_id": "r-1",
    }
    assert got.headers["www-authenticate"] == "Bearer"
    assert got.headers["x-request-id"] == "r-1"
    assert upstream.requests == []


def late() -> str:
    return issue_at(AUTH, 7, "default", time() - timedelta(hours=7).total_seconds())


@pytest.mark.parametrize(
    ("authorization", "detail"),
    [
        (f"Bearer {late()}", "Auth token is expired."),
        ("Bearer a.b.c", "Auth token is corrupted."),
        (USER["authorization"][:-2], "Auth token is corrupted."),
        (USER["authorization"].removeprefix("Bearer "), "Auth token is corrupted."),
        ("Basic eDp5", "Auth token is corrupted."),
        ("Bearer", "Auth token is corrupted."),
        (f"Bearer {issue(Jwt('x' * 32), 7, 'admin')}", "Auth token is corrupted."),
    ],
)
async def test_bad_tokens(gateway: Served, upstream: ScriptedUpstream, authorization: str, detail: str) -> None:
    got = await gateway.client.get("/mine", headers={"authorization": authorization})
    assert (got.status_code, got.json()["detail"]) == (401, detail)
    assert got.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert upstream.requests == []


async def test_two_tokens_are_none(gateway: Served) -> None:
    header = f"Authorization: {USER['authorization']}".encode()
    assert b" 401 " in (await gateway.get(b"/mine", header, header)).split(b"\r\n")[0]


async def test_the_wrong_role_is_refused_with_403(gateway: Served, upstream: ScriptedUpstream) -> None:
    got = await gateway.client.get("/admin/1", headers=USER)
    assert (got.status_code, got.json()["detail"]) == (403, "You are not allowed to access this scope.")
    assert got.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert upstream.requests == []


async def test_the_right_role_and_the_owner_get_through_with_their_identity(
    gateway: Served, upstream: ScriptedUpstream
) -> None:
    for path, headers in (("/admin/1", ADMIN), ("/users/7", USER), ("/users/9", ADMIN), ("/mine", USER)):
        assert (await gateway.client.get(path, headers=headers)).status_code == 200, path
    assert (await gateway.client.get("/users/9", headers=USER)).status_code == 403
    assert b"request-user-id: 1\r\nrequest-user-role: admin\r\n" in upstream.requests[0]
    assert b"request-user-id: 7\r\nrequest-user-role: default\r\n" in upstream.requests[1]
    assert not any(b"authorization" in head for head in upstream.requests)


async def test_authentication_comes_before_validation(gateway: Served) -> None:
    assert (await gateway.client.get("/admin/x")).status_code == 401
    assert (await gateway.client.get("/admin/x", headers=USER)).status_code == 403
    assert (await gateway.client.get("/admin/x", headers=ADMIN)).status_code == 422
    assert (await gateway.client.post("/items", content=b"{")).status_code == 401


async def test_invalid_parameters_are_named_and_never_echoed(gateway: Served, upstream: ScriptedUpstream) -> None:
    got = await gateway.client.get("/public?limit=s3cret")
    assert got.status_code == 422
    assert got.json()["code"] == "invalid_request"
    assert [error["loc"] for error in got.json()["errors"]] == [["query", "limit"]]
    assert "s3cret" not in got.text
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"name": "x"}', "application/json", 200),
        (b'{"name": "x"}', "application/vnd.api+json; charset=utf-8", 200),
        (b'{"name": "x"}', "text/plain", 415),
        (b'{"name": "x"}', "", 415),
        (b'{"name": ', "application/json", 422),
        (b"", "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"name": 1}', "application/json", 422),
        (b'{"name": "x", "nome": "y"}', "application/json", 422),
        (b'{"name": "\\ud800"}', "application/json", 422),
        (b'{"name": "\xff"}', "application/json", 422),
        (b'{"name": "x", "size": 1e400}', "application/json", 422),
        (b'{"name": "x", "size": "' + b"9" * 60 + b'e"}', "application/json", 422),
        (b'{"name": "' + b"x" * 100 + b'"}', "application/json", 413),
    ],
)
async def test_bodies(gateway: Served, upstream: ScriptedUpstream, body: bytes, kind: str, status: int) -> None:
    headers = USER | ({"content-type": kind} if kind else {})
    got = await gateway.client.post("/items", content=body, headers=headers)
    assert got.status_code == status, got.text
    assert len(upstream.requests) == (status == 200)


async def test_a_declared_body_is_sent_on_in_one_canonical_form(gateway: Served, upstream: ScriptedUpstream) -> None:
    """A name given twice is read once, by us; what was left out stays out."""
    bodies: list[bytes] = []

    async def script(conversation: Conversation) -> None:
        bodies.append((await conversation.request()).partition(b"\r\n\r\n")[2])
        await conversation.say(OK)

    upstream.scripts[:] = [script]
    body = b' {"name": "a", "name": "b"} '
    got = await gateway.client.post("/items", content=body, headers=USER | {"content-type": "application/json"})
    assert got.status_code == 200
    assert bodies == [b'{"name":"b"}']


async def test_a_stream_that_outgrows_its_bound_is_stopped(gateway: Served) -> None:
    got = await gateway.raw(
        b"PUT /upload HTTP/1.1\r\nhost: g\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
        b"5\r\nabcde\r\n6\r\nfghijk\r\n0\r\n\r\n",
    )
    assert got.startswith(b"HTTP/1.1 413 ")
    announced = await gateway.raw(b"PUT /upload HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-length: 11\r\n\r\n")
    assert announced.startswith(b"HTTP/1.1 413 ")


async def test_unknown_paths_and_methods(gateway: Served, upstream: ScriptedUpstream) -> None:
    nothing = await gateway.client.get("/nothing")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "not_found")
    wrong = await gateway.client.delete("/public")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert wrong.json()["code"] == "method_not_allowed"
    options = await gateway.client.options("/items")
    assert (options.status_code, options.headers["allow"], options.content) == (204, "OPTIONS, POST", b"")
    slash = await gateway.client.get("/public/?limit=2")
    assert (slash.status_code, slash.headers["location"]) == (307, "/public?limit=2")
    assert upstream.requests == []


@pytest.mark.parametrize(
    "target",
    [
        b"/public/../admin/1",
        b"/public/%2e%2e/admin/1",
        b"//public",
        b"/public%00",
        b"/public\\x",
        b"/public%zz",
        b"/%ff",
    ],
)
async def test_ambiguous_paths_are_refused(gateway: Served, upstream: ScriptedUpstream, target: bytes) -> None:
    got = await gateway.get(target)
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"bad_path" in got or b"Invalid HTTP request" in got
    assert upstream.requests == []


async def test_a_query_with_raw_bytes_is_refused(gateway: Served) -> None:
    assert (await gateway.get(b"/public?limit=\xc3\xa9")).startswith(b"HTTP/1.1 400 ")


async def test_only_100_continue_may_be_expected(gateway: Served) -> None:
    got = await gateway.get(b"/public", b"Expect: more")
    assert got.startswith(b"HTTP/1.1 417 ")
