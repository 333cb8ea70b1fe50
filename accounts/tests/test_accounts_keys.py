"""API keys over the API of the users service, on SQLite and on the JSON file; the stores have a suite of their own."""

import logging
import re
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from limen_accounts.api_keys import MAX_KEYS

ADMIN = {"request-user-id": "1", "request-user-role": "admin"}
JOHN = {"request-user-id": "2", "request-user-role": "default"}
TEST = {"request-user-id": "3", "request-user-role": "default"}
FORM: dict[str, Any] = {"name": "nightly build", "scopes": ["orders:read"]}
INACTIVE = {"active": False}


@pytest.fixture
def client(running_service: tuple[FastAPI, httpx2.AsyncClient]) -> httpx2.AsyncClient:
    return running_service[1]


async def create(client: httpx2.AsyncClient, caller: dict[str, str] = JOHN, **changes: Any) -> dict[str, Any]:
    response = await client.post("/api/keys", json=FORM | changes, headers=caller)
    assert response.status_code == 201
    return response.json()


async def introspect(client: httpx2.AsyncClient, key: str) -> dict[str, Any]:
    response = await client.post("/api/keys/introspect", json={"key": key})
    assert response.status_code == 200
    return response.json()


async def test_a_key_is_made_used_and_revoked(client: httpx2.AsyncClient) -> None:
    response = await client.post("/api/keys", json=FORM | {"expires_in_days": 30}, headers=JOHN)
    assert (response.status_code, response.headers["cache-control"]) == (201, "no-store")
    made = response.json()
    assert set(made) == {"id", "name", "scopes", "created_at", "expires_at", "key"}
    assert (made["id"], made["name"], made["scopes"]) == (1, "nightly build", ["orders:read"])
    assert re.fullmatch(r"key_1_[A-Za-z0-9_-]{43}", made["key"])
    created, expires = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert expires - created == timedelta(days=30)
    assert await introspect(client, made["key"]) == {
        "active": True,
        "id": 1,
        "owner": 2,
        "scopes": ["orders:read"],
        "expires_at": made["expires_at"],
    }
    listed = await client.get("/api/keys", headers=JOHN)
    assert made["key"] not in listed.text
    (key,) = listed.json()
    assert set(key) == {"id", "name", "scopes", "created_at", "expires_at", "last_used_at"}
    assert key["last_used_at"] is not None
    revoked = await client.delete("/api/keys/1", headers=JOHN)
    assert (revoked.status_code, revoked.content) == (204, b"")
    assert await introspect(client, made["key"]) == INACTIVE
    assert (await client.get("/api/keys", headers=JOHN)).json() == []


async def test_a_key_may_have_no_scopes_and_ends_after_a_year_unless_it_says_otherwise(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.post("/api/keys", json={"name": "plain"}, headers=JOHN)
    made = response.json()
    created, expires = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert (made["scopes"], expires - created) == ([], timedelta(days=365))
    introspected = await introspect(client, made["key"])
    assert introspected == {"active": True, "id": 1, "owner": 2, "scopes": [], "expires_at": made["expires_at"]}


async def test_scopes_are_unique_and_keep_their_order(client: httpx2.AsyncClient) -> None:
    assert (await create(client, scopes=["b", "a", "b"]))["scopes"] == ["b", "a"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": None},
        {"scopes": [""]},
        {"scopes": ["two words"]},
        {"scopes": ['quo"te']},
        {"scopes": ["back\\slash"]},
        {"scopes": ["é"]},
        {"scopes": ["line\n"]},
        {"scopes": ["x" * 101]},
        {"scopes": [f"s{n}" for n in range(21)]},
        {"scopes": "orders:read"},
        {"scopes": None},
        {"expires_in_days": 0},
        {"expires_in_days": 366},
        {"expires_in_days": 1.5},
        {"owner": 1},
    ],
)
async def test_bad_keys_are_refused(client: httpx2.AsyncClient, change: dict[str, Any]) -> None:
    response = await client.post("/api/keys", json=FORM | change, headers=JOHN)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_callers_see_and_revoke_only_their_own_keys(client: httpx2.AsyncClient) -> None:
    made = await create(client)
    assert (await client.get("/api/keys", headers=ADMIN)).json() == []
    for caller in (ADMIN, TEST):
        response = await client.delete(f"/api/keys/{made['id']}", headers=caller)
        assert (response.status_code, response.json()["detail"]) == (404, "API key not found with this id.")
    assert (await introspect(client, made["key"]))["active"]
    for method, path in (("POST", ""), ("GET", ""), ("DELETE", "/1")):
        nobody = await client.request(method, f"/api/keys{path}", json=FORM if method == "POST" else None)
        assert (nobody.status_code, nobody.json()["code"]) == (401, "identity_missing")


async def test_keys_end_with_their_owner(client: httpx2.AsyncClient) -> None:
    made = await create(client, TEST)
    assert (await client.delete("/api/users/3", headers=ADMIN)).status_code == 204
    assert await introspect(client, made["key"]) == INACTIVE
    gone = await client.post("/api/keys", json=FORM, headers=TEST)
    assert (gone.status_code, gone.json()["code"]) == (401, "account_gone")
    assert (await client.get("/api/keys", headers=TEST)).json() == []


async def test_too_many_keys_are_refused(client: httpx2.AsyncClient) -> None:
    for _ in range(MAX_KEYS):
        await create(client)
    response = await client.post("/api/keys", json=FORM, headers=JOHN)
    assert (response.status_code, response.json()["code"]) == (409, "too_many_keys")
    assert response.json()["detail"] == "You have 50 API keys already; revoke one first."
    await create(client, TEST)
    await client.delete("/api/keys/1", headers=JOHN)
    assert (await create(client))["id"] == MAX_KEYS + 2


@pytest.mark.parametrize("key", ["", "x", "key_1_", "key_1_" + "a" * 43, "key_7_" + "a" * 43, "é", "x" * 512])
async def test_introspection_reveals_nothing_about_invalid_keys(client: httpx2.AsyncClient, key: str) -> None:
    await create(client)
    assert await introspect(client, key) == INACTIVE


async def test_the_audit_log_has_every_event_and_no_key(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = await create(client, scopes=["a", "b"])
    await introspect(client, made["key"])
    await client.delete("/api/keys/1", headers=JOHN)
    lines = [record.getMessage() for record in caplog.records if record.name == "limen_accounts.audit"]
    assert lines == ['event=key_created account=2 key=1 scopes="a b"', "event=key_revoked account=2 key=1"]
    assert made["key"].removeprefix("key_1_") not in caplog.text
