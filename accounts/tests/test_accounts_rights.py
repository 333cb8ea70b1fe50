"""Rights that end: a role that is taken away, an account that is locked, and who may read which account."""

import logging

import httpx2
import pytest
from fastapi import FastAPI

from limen_accounts.sessions import NewSession
from limen_accounts.stores import Stores

ADMIN = {"request-user-id": "1", "request-user-role": "admin"}
JOHN = {"request-user-id": "2", "request-user-role": "default"}
FORM = {"username": "ada", "password": "correct horse", "user_type": "admin"}


@pytest.fixture
def client(running_service: tuple[FastAPI, httpx2.AsyncClient]) -> httpx2.AsyncClient:
    return running_service[1]


@pytest.fixture
def stores(running_service: tuple[FastAPI, httpx2.AsyncClient]) -> Stores:
    stores: Stores = running_service[0].state.accounts.stores
    return stores


async def begin(stores: Stores, account_id: int = 2) -> NewSession:
    return await stores.sessions.begin_session(account_id, user_agent="", address="")


async def set_type(client: httpx2.AsyncClient, user_type: str) -> httpx2.Response:
    return await client.put("/api/users/2", json={"user_type": user_type}, headers=ADMIN)


def as_admin(session: NewSession) -> dict[str, str]:
    """Return what the gateway says for an access token of user 2 from when they were an admin."""
    return {"request-user-id": "2", "request-user-role": "admin", "request-session-id": session.session_id}


@pytest.mark.parametrize(("before", "after"), [("default", "admin"), ("admin", "default")])
async def test_another_user_type_ends_the_sessions_and_names_them_to_the_gateway(
    client: httpx2.AsyncClient, stores: Stores, before: str, after: str
) -> None:
    await set_type(client, before)
    session = await begin(stores)
    assert "session-ended" not in (await set_type(client, before)).headers
    changed = await set_type(client, after)
    assert (changed.status_code, changed.headers["session-ended"]) == (200, session.session_id)
    assert (await client.post("/api/refresh", json={"refresh_token": session.refresh_token})).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/users", None),
        ("GET", "/api/users/1", None),
        ("POST", "/api/users", FORM),
        ("PUT", "/api/users/2", {"user_type": "admin"}),
        ("PUT", "/api/users/1/password", {"new_password": "taken over"}),
        ("PUT", "/api/users/3/lock", None),
        ("DELETE", "/api/users/3/lock", None),
        ("DELETE", "/api/users/3", None),
    ],
)
async def test_a_former_admin_can_do_nothing_with_a_token_that_the_gateway_still_believes(
    client: httpx2.AsyncClient, stores: Stores, method: str, path: str, body: dict[str, str] | None
) -> None:
    await set_type(client, "admin")
    caller = as_admin(await begin(stores))
    assert (await client.get("/api/users", headers=caller)).status_code == 200
    await set_type(client, "default")
    refused = await client.request(method, path, json=body, headers=caller)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    listed = await stores.accounts.list_accounts(q=None, limit=9, offset=0)
    assert [account.user_type for account in listed[0]] == ["admin", "default", "default"]


async def test_a_locked_or_deleted_admin_is_none(client: httpx2.AsyncClient, stores: Stores) -> None:
    await set_type(client, "admin")
    caller = as_admin(await begin(stores))
    await client.put("/api/users/2/lock", headers=ADMIN)
    assert (await client.post("/api/users", json=FORM, headers=caller)).status_code == 403
    await client.delete("/api/users/2/lock", headers=ADMIN)
    assert (await client.get("/api/users", headers=caller)).status_code == 200
    await stores.accounts.delete_account(2)
    assert (await client.post("/api/users", json=FORM, headers=caller)).status_code == 403


async def test_a_lock_ends_sessions_and_keys_until_it_is_taken_away(client: httpx2.AsyncClient, stores: Stores) -> None:
    session = await begin(stores)
    key = (await client.post("/api/keys", json={"name": "ci"}, headers=JOHN)).json()["key"]
    assert (await client.get("/api/users/2", headers=ADMIN)).json()["locked_at"] is None
    locked = await client.put("/api/users/2/lock", headers=ADMIN)
    assert (locked.status_code, locked.content, locked.headers["session-ended"]) == (204, b"", session.session_id)
    assert (await client.get("/api/users/2", headers=ADMIN)).json()["locked_at"]
    assert (await client.post("/api/keys/introspect", json={"key": key})).json() == {"active": False}
    refused = await client.post("/api/keys", json={"name": "ci"}, headers=JOHN)
    assert (refused.status_code, refused.json()["code"]) == (401, "account_gone")
    assert (await client.delete("/api/users/2/lock", headers=ADMIN)).status_code == 204
    assert (await client.post("/api/keys/introspect", json={"key": key})).json()["active"]
    assert (await client.post("/api/login", json={"username": "johndoe", "password": "b"})).status_code == 201


async def test_only_admins_lock_and_never_the_first_user(client: httpx2.AsyncClient) -> None:
    for method in ("PUT", "DELETE"):
        assert (await client.request(method, "/api/users/3/lock", headers=JOHN)).status_code == 403
        assert (await client.request(method, "/api/users/9/lock", headers=ADMIN)).status_code == 404
    first = await client.put("/api/users/1/lock", headers=ADMIN)
    assert (first.status_code, first.json()["code"]) == (403, "protected")


async def test_a_user_reads_their_own_account_and_no_other(client: httpx2.AsyncClient) -> None:
    own = await client.get("/api/users/me", headers=JOHN)
    assert (own.status_code, own.json()["username"], own.headers["etag"]) == (200, "johndoe", '"1"')
    assert (await client.get("/api/users/2", headers=JOHN)).json() == own.json()
    assert (await client.get("/api/users/me", headers=JOHN | {"if-none-match": '"1"'})).status_code == 304
    for path in ("/api/users/1", "/api/users/9", "/api/users"):
        assert (await client.get(path, headers=JOHN)).status_code == 403
    assert (await client.get("/api/users/me", headers={"request-user-id": "9"})).status_code == 404
    assert (await client.get("/api/users/me")).status_code == 401
    assert (await client.get("/api/users/2", headers=ADMIN)).json() == own.json()


async def test_the_audit_log_tells_of_creations_roles_and_locks(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "limen_accounts.audit"):
        await client.post("/api/users", json=FORM, headers=ADMIN)
        await client.put("/api/users/4", json={"user_type": "default", "full_name": "A secret name"}, headers=ADMIN)
        await client.put("/api/users/4/lock", headers=ADMIN)
        await client.delete("/api/users/4/lock", headers=ADMIN)
    assert [record.getMessage() for record in caplog.records if record.name == "limen_accounts.audit"] == [
        "event=user_created account=4 user_type=admin by=1",
        'event=user_changed account=4 by=1 fields="full_name,user_type"',
        "event=role_changed account=4 by=1 before=admin after=default sessions=0",
        "event=user_locked account=4 by=1 sessions=0",
        "event=user_unlocked account=4 by=1",
    ]
