"""The gateway's side of its contract with a service of ``limen_accounts``, whose answers are scripted here.

``accounts/tests/test_accounts_gateway_contract.py`` is the service's.
"""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any

import pytest
from pydantic import BaseModel

from limen import Gateway, Upstream, anyone, signed_in
from limen.auth import ApiKeys, Jwt, Revocations, issue
from limen.auth.session_ends import MOST_ENDED
from limen.testing import Conversation, ScriptedUpstream
from limen_accounts.testing.contract import Case, Contract
from serving import Served, serving
from tokens import SECRET

CONTRACT = Contract.load()
AUTH = Jwt(SECRET)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Session(BaseModel):
    """The answer to a login or refresh."""

    id: int
    user_type: str
    session_id: str
    refresh_token: str
    refresh_expires_at: datetime


class Tokens(BaseModel):
    """What a client gets instead."""

    access_token: str
    refresh_token: str


def issued(session: Session) -> Tokens:
    token = issue(AUTH, session.id, session.user_type, session=session.session_id)
    return Tokens(access_token=token, refresh_token=session.refresh_token)


def answer_of(case: Case) -> bytes:
    """Return the answer as the contract has it, and nothing more."""
    wanted = CONTRACT.example(dict(case.answer))
    body = wanted.get("body")
    if "code" in wanted:
        body = {"type": "about:blank", "title": "x", "status": wanted["status"], "code": wanted["code"]}
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{name}: {value}" for name, value in wanted.get("headers", {}).items()]
    if content:
        lines += ["content-type: application/json", f"content-length: {len(content)}"]
    head = f"HTTP/1.1 {wanted['status']} {HTTPStatus(wanted['status']).phrase}"
    return "\r\n".join([head, *lines, "", ""]).encode() + content


class Service:
    """Answers ``case`` to its request, and ``ok`` to all others."""

    def __init__(self, case: Case) -> None:
        self.request = CONTRACT.example(dict(case.request))
        self.answer = answer_of(case)
        self.bodies: list[Any] = []
        self.others: list[bytes] = []

    async def script(self, conversation: Conversation) -> None:
        line = f"{self.request['method']} {self.request['path']} ".encode()
        while True:
            asked = await conversation.request()
            if not asked.startswith(line):
                self.others.append(asked)
                await conversation.say(OK)
                continue
            body = asked.partition(b"\r\n\r\n")[2]
            self.bodies.append(json.loads(body) if body else None)
            await conversation.say(self.answer)


def build(url: str) -> Gateway:
    app = Gateway(auth=AUTH, revocations=Revocations())
    service = Upstream("users", [url])
    api = app.group("/api", upstream=service, allow=anyone, session_ended_header="session-ended")

    @api.post("/login", status_code=201, after=issued)
    def login(body: dict[str, str]) -> Tokens: ...

    @api.post("/refresh", after=issued)
    def refresh(body: dict[str, str]) -> Tokens: ...

    @api.post("/logout")
    def logout(body: dict[str, str]) -> dict[str, int]: ...

    @api.post("/logout-all")
    def logout_all() -> dict[str, int]: ...

    @api.delete("/sessions/{session_id}")
    def end_session(session_id: str) -> dict[str, int]: ...

    @api.put("/users/{user_id}")
    def update_user(user_id: int, body: dict[str, str]) -> dict[str, Any]: ...

    @api.put("/users/{user_id}/lock", status_code=204)
    def lock_user(user_id: int) -> None: ...

    @api.put("/users/{user_id}/password", status_code=204)
    def change_password(user_id: int, body: dict[str, str]) -> None: ...

    @api.delete("/users/{user_id}", status_code=204)
    def delete_user(user_id: int) -> None: ...

    app.forward("/tokens", upstream=service, allow=signed_in)
    app.forward("/keys", upstream=service, allow=signed_in, auth=ApiKeys(service, prefix="key_"))
    return app


@asynccontextmanager
async def served(case: Case) -> AsyncGenerator[tuple[Service, Served]]:
    service = Service(case)
    async with ScriptedUpstream(service.script) as upstream, serving(build(upstream.url)) as gateway:
        yield service, gateway


def having(member: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [case for case in CONTRACT.cases if member in case.gateway], ids=str)


async def send(gateway: Served, service: Service) -> Any:
    request = service.request
    return await gateway.client.request(request["method"], request["path"], json=request.get("body"))


async def with_token(gateway: Served, token: str) -> str:
    got = await gateway.client.get("/tokens", headers={"authorization": f"Bearer {token}"})
    return "" if got.status_code == 200 else got.json()["code"]


@having("caller")
async def test_the_gateway_asks_about_a_key_and_believes_the_answer(case: Case) -> None:
    async with served(case) as (service, gateway):
        key = service.request["body"]["key"]
        got = await gateway.client.get("/keys", headers={"x-api-key": key})
    assert service.bodies == [case.request["body"] | {"key": key}]
    caller = case.gateway["caller"]
    if caller is None:
        assert (got.status_code, got.json()["code"], service.others) == (401, "api_key_invalid", [])
        return
    assert got.status_code == 200
    assert f"request-user-id: {caller['id']}\r\n".encode() in service.others[0]


@having("issues")
async def test_the_gateway_issues_a_token_for_the_session_and_its_account(case: Case) -> None:
    async with served(case) as (service, gateway):
        got = await send(gateway, service)
        assert got.status_code == case.answer["status"]
        tokens = got.json()
        assert tokens["refresh_token"] == CONTRACT.example(case.answer["body"]["refresh_token"])
        assert await with_token(gateway, tokens["access_token"]) == ""
    wanted = case.gateway["issues"]
    assert f"request-user-id: {wanted['id']}\r\n".encode() in service.others[0]
    assert f"request-user-role: {wanted['role']}\r\n".encode() in service.others[0]


@having("ends")
async def test_the_gateway_ends_the_tokens_of_the_named_sessions_and_of_no_other(case: Case) -> None:
    names = [CONTRACT.example(name) for name in case.gateway["ends"]]
    async with served(case) as (service, gateway):
        tokens = [issue(AUTH, 2, "default", session=name) for name in names]
        other = issue(AUTH, 2, "default", session="another")
        assert [await with_token(gateway, token) for token in [*tokens, other]] == [""] * (len(names) + 1)
        got = await send(gateway, service)
        assert (got.status_code, "session-ended" in got.headers) == (case.answer["status"], False)
        assert [await with_token(gateway, token) for token in tokens] == ["token_revoked"] * len(names)
        assert await with_token(gateway, other) == ""


@pytest.mark.parametrize("case", [case for case in CONTRACT.cases if not case.gateway], ids=str)
async def test_a_refusal_reaches_the_client_as_it_is(case: Case) -> None:
    async with served(case) as (service, gateway):
        got = await send(gateway, service)
    assert (got.status_code, got.json()["code"]) == (case.answer["status"], case.answer["code"])


def test_the_gateway_reads_as_many_ended_sessions_as_the_contract_says() -> None:
    assert CONTRACT.most_ended_sessions == MOST_ENDED
