"""The service's side of the contract with the gateway; ``tests/engine/test_accounts_contract.py`` is the gateway's."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import httpx2
import pytest

from limen_accounts.sessions import MAX_SESSIONS, SessionLimits
from limen_accounts.testing.contract import Case, Contract, filled
from limen_accounts.testing.service import FIRST_ACCOUNTS, make_service, settings_for
from limen_accounts.tortoise_stores.config import database_config
from limen_kit.testing import running

CONTRACT = Contract.load()
USER = {"request-user-id": "2", "request-user-role": "default"}
CALLERS = {"admin": {"request-user-id": "1", "request-user-role": "admin"}, "user": USER}


@pytest.fixture
async def client(store_url: str) -> AsyncGenerator[httpx2.AsyncClient]:
    app = make_service(settings_for(store_url), first_accounts=FIRST_ACCOUNTS)
    async with running(app, database_config(store_url)) as found:
        yield found


async def given(client: httpx2.AsyncClient, what: str) -> dict[str, str]:
    """Make what a case begins with; return the texts of placeholders."""
    if "key" in what:
        expires = {"expires_in_days": 1} if "expires" in what else {"scopes": ["orders:read"]}
        made = (await client.post("/api/keys", json={"name": "ci", **expires}, headers=USER)).json()
        if "revoked" in what:
            await client.delete(f"/api/keys/{made['id']}", headers=USER)
        if "locked" in what:
            await client.put("/api/users/2/lock", headers=CALLERS["admin"])
        return {"<key>": made["key"]}
    if what == "a locked account":
        await client.put("/api/users/2/lock", headers=CALLERS["admin"])
    texts: dict[str, str] = {}
    for name in ("<session>", "<other session>")[: {"a session": 1, "a used token": 1, "two sessions": 2}.get(what, 0)]:
        session = (await client.post("/api/login", json={"username": "johndoe", "password": "b"})).json()
        texts = {"<refresh token>": session["refresh_token"], **texts, name: session["session_id"]}
    if what == "a used token":
        await client.post("/api/refresh", json={"refresh_token": texts["<refresh token>"]})
    return texts


@pytest.mark.parametrize("case", CONTRACT.cases, ids=str)
async def test_the_service_answers_as_the_contract_says(client: httpx2.AsyncClient, case: Case) -> None:
    known = await given(client, case.given)
    request = filled(dict(case.request), known)
    headers = dict(CALLERS.get(request.get("caller"), {}))
    if request.get("caller") == "user":
        headers["request-session-id"] = known["<session>"]
    response = await client.request(request["method"], request["path"], json=request.get("body"), headers=headers)
    assert response.status_code == case.answer["status"], response.text
    wanted = dict(case.answer.get("headers", {}))
    ended = response.headers.get("session-ended", "")
    assert sorted(ended.split(",")) == sorted(filled(wanted.pop("session-ended", ""), known).split(","))
    assert {name: response.headers.get(name) for name in wanted} == wanted
    if "code" in case.answer:
        assert response.json()["code"] == case.answer["code"]
    elif "body" in case.answer:
        assert CONTRACT.matches(case.answer["body"], response.json(), known), response.json()
    else:
        assert response.content == b""


def test_no_answer_ends_more_sessions_than_the_gateway_reads() -> None:
    # All of an account's, and the caller's own, which the store may not have any more.
    assert CONTRACT.most_ended_sessions == MAX_SESSIONS + 1
    assert SessionLimits().max_sessions <= MAX_SESSIONS
    assert replace(SessionLimits(), max_sessions=MAX_SESSIONS)
    for number in (0, MAX_SESSIONS + 1):
        with pytest.raises(ValueError, match=r"SessionLimits\(max_sessions="):
            replace(SessionLimits(), max_sessions=number)
