"""API keys that end: by an admin, with a logout from everywhere, with a new password, and by age."""

import logging
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

ADMIN = {"request-user-id": "1", "request-user-role": "admin"}
JOHN = {"request-user-id": "2", "request-user-role": "default"}
TEST = {"request-user-id": "3", "request-user-role": "default"}


@pytest.fixture
def app(running_service: tuple[FastAPI, httpx2.AsyncClient]) -> FastAPI:
    return running_service[0]


@pytest.fixture
def client(running_service: tuple[FastAPI, httpx2.AsyncClient]) -> httpx2.AsyncClient:
    return running_service[1]


async def create(client: httpx2.AsyncClient, caller: dict[str, str] = JOHN, **others: Any) -> str:
    response = await client.post("/api/keys", json={"name": "ci", **others}, headers=caller)
    assert response.status_code == 201, response.text
    text: str = response.json()["key"]
    return text


async def active(client: httpx2.AsyncClient, key: str) -> bool:
    found: bool = (await client.post("/api/keys/introspect", json={"key": key})).json()["active"]
    return found


async def test_an_admin_lists_and_revokes_the_keys_of_anybody(client: httpx2.AsyncClient) -> None:
    first, second, third, other = [await create(client, caller) for caller in (JOHN, JOHN, JOHN, TEST)]
    listed = await client.get("/api/users/2/keys", headers=ADMIN)
    assert listed.json() == (await client.get("/api/keys", headers=JOHN)).json()
    assert (await client.delete("/api/users/2/keys/1", headers=ADMIN)).status_code == 204
    assert [await active(client, key) for key in (first, second, other)] == [False, True, True]
    revoked = await client.delete("/api/users/2/keys", headers=ADMIN)
    assert (revoked.status_code, revoked.json()) == (200, {"revoked": 2})
    assert [await active(client, key) for key in (second, third, other)] == [False, False, True]


async def test_only_admins_reach_the_keys_of_others(client: httpx2.AsyncClient) -> None:
    await create(client, TEST)
    for method, path in (("GET", "/3/keys"), ("DELETE", "/3/keys"), ("DELETE", "/3/keys/1"), ("GET", "/2/keys")):
        assert (await client.request(method, f"/api/users{path}", headers=JOHN)).status_code == 403
        assert (await client.request(method, f"/api/users{path}")).status_code == 401
    for method, path in (("GET", "/9/keys"), ("DELETE", "/9/keys"), ("DELETE", "/2/keys/1"), ("DELETE", "/3/keys/9")):
        assert (await client.request(method, f"/api/users{path}", headers=ADMIN)).status_code == 404


@pytest.mark.parametrize(("query", "left"), [("", True), ("?revoke_keys=false", True), ("?revoke_keys=true", False)])
async def test_a_logout_from_everywhere_ends_keys_if_it_says_so(
    client: httpx2.AsyncClient, query: str, left: bool
) -> None:
    own, other = await create(client), await create(client, TEST)
    assert (await client.post(f"/api/logout-all{query}", headers=JOHN)).status_code == 200
    assert [await active(client, key) for key in (own, other)] == [left, True]


@pytest.mark.parametrize(
    ("caller", "revoke_keys", "left"),
    [(JOHN, None, True), (JOHN, True, False), (ADMIN, None, False), (ADMIN, True, False), (ADMIN, False, True)],
)
async def test_a_new_password_ends_keys_if_an_admin_sets_it_or_it_says_so(
    client: httpx2.AsyncClient, caller: dict[str, str], revoke_keys: bool | None, left: bool
) -> None:
    own, other = await create(client), await create(client, TEST)
    body = {"current_password": "b", "new_password": "long enough", "revoke_keys": revoke_keys}
    assert (await client.put("/api/users/2/password", json=body, headers=caller)).status_code == 204
    assert [await active(client, key) for key in (own, other)] == [left, True]


async def test_an_admin_who_changes_their_own_password_keeps_their_keys(client: httpx2.AsyncClient) -> None:
    own = await create(client, ADMIN)
    body = {"current_password": "b", "new_password": "long enough"}
    assert (await client.put("/api/users/1/password", json=body, headers=ADMIN)).status_code == 204
    assert await active(client, own)


async def test_no_key_is_made_in_a_session_that_has_ended(app: FastAPI, client: httpx2.AsyncClient) -> None:
    session = await app.state.accounts.stores.sessions.begin_session(2, user_agent="", address="")
    caller = JOHN | {"request-session-id": session.session_id}
    await create(client, caller)
    await client.post("/api/logout-all", headers=JOHN)
    refused = await client.post("/api/keys", json={"name": "ci"}, headers=caller)
    assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")


async def test_nobody_gets_a_key_for_longer_than_the_service_allows(app: FastAPI, client: httpx2.AsyncClient) -> None:
    app.state.accounts.max_key_lifetime = timedelta(days=30)
    refused = await client.post("/api/keys", json={"name": "ci", "expires_in_days": 31}, headers=JOHN)
    assert (refused.status_code, refused.json()["code"]) == (422, "key_lifetime")
    for days in ({}, {"expires_in_days": 30}):
        made = (await client.post("/api/keys", json={"name": "ci", **days}, headers=JOHN)).json()
        created, expires = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
        assert expires - created == timedelta(days=30)


async def test_the_audit_log_says_who_revoked_whose_keys(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await create(client)
    caplog.set_level(logging.INFO, "limen_accounts.audit")
    caplog.clear()
    await client.delete("/api/users/2/keys/1", headers=ADMIN)
    await client.put("/api/users/2/password", json={"new_password": "long enough"}, headers=ADMIN)
    await client.delete("/api/users/2/keys", headers=ADMIN)
    assert [record.getMessage() for record in caplog.records if record.name == "limen_accounts.audit"] == [
        "event=key_revoked account=2 by=1 key=1",
        "event=password_changed account=2 by=1 sessions=0 keys=2",
        "event=keys_revoked account=2 by=1 keys=0",
    ]
