"""The life of a session through the gateway: login, refresh, reuse, logout, and what ends it from elsewhere."""

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from limen.auth import Jwt, issue
from shop_processes import SECRET, Shop

ADMIN = {"authorization": f"Bearer {issue(Jwt(SECRET), 1, 'admin')}"}
ORDER = {"address": "1 Main St", "item": "lamp"}
SUPPLIER = {"name": "Ada", "surname": "Lovelace", "address": "London"}

ADDRESS = "127.0.0.9"


@pytest.fixture
async def client(shop: Shop) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client with an address of its own: others have failed to log in from theirs, and have to wait."""
    transport = httpx2.AsyncHTTPTransport(local_address=ADDRESS)
    async with httpx2.AsyncClient(base_url=shop.url(), timeout=30, transport=transport) as found:
        yield found


def bearer(pair: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {pair['access_token']}"}


async def member(client: httpx2.AsyncClient, name: str) -> tuple[str, dict[str, str]]:
    """Make a user; return the path and the credentials."""
    credentials = {"username": name, "password": "long enough"}
    made = await client.post("/api/users", json=credentials | {"user_type": "default"}, headers=ADMIN)
    assert made.status_code == 201, made.text
    return made.headers["location"], credentials


async def login(client: httpx2.AsyncClient, credentials: dict[str, str]) -> dict[str, Any]:
    got = await client.post("/api/login", json=credentials)
    assert got.status_code == 201, got.text
    return got.json()


async def code(client: httpx2.AsyncClient, pair: dict[str, Any]) -> str:
    got = await client.get("/api/orders", headers=bearer(pair))
    return "" if got.status_code == 200 else got.json()["code"]


async def test_a_session_goes_on_by_refreshing_and_ends_whole_when_an_old_token_is_used(
    client: httpx2.AsyncClient,
) -> None:
    _, credentials = await member(client, "refresher")
    pairs = [await login(client, credentials)]
    for _ in range(3):
        got = await client.post("/api/refresh", json={"refresh_token": pairs[-1]["refresh_token"]})
        assert got.status_code == 200, got.text
        assert got.headers["cache-control"] == "no-store"
        pairs.append(got.json())
    assert len({pair["refresh_token"] for pair in pairs}) == len({pair["access_token"] for pair in pairs}) == 4
    assert [await code(client, pair) for pair in pairs] == [""] * 4
    for pair in (pairs[1], pairs[-1]):
        got = await client.post("/api/refresh", json={"refresh_token": pair["refresh_token"]})
        assert (got.status_code, got.json()["code"]) == (401, "refresh_token_invalid")
        assert "session-ended" not in got.headers
    assert [await code(client, pair) for pair in pairs] == ["token_revoked"] * 4


async def test_logout_is_immediate_and_of_one_session(client: httpx2.AsyncClient) -> None:
    _, credentials = await member(client, "leaver")
    one, two = await login(client, credentials), await login(client, credentials)
    got = await client.post("/api/logout", json={"refresh_token": one["refresh_token"]})
    assert (got.status_code, got.json()) == (200, {"ended": 1})
    assert (await code(client, one), await code(client, two)) == ("token_revoked", "")
    got = await client.post("/api/refresh", json={"refresh_token": one["refresh_token"]})
    assert got.status_code == 401
    three = await login(client, credentials)
    got = await client.post("/api/logout-all", headers=bearer(two))
    assert got.json() == {"ended": 2}
    assert [await code(client, pair) for pair in (two, three)] == ["token_revoked"] * 2


async def test_ones_sessions_are_seen_and_ended_one_by_one(client: httpx2.AsyncClient) -> None:
    _, credentials = await member(client, "watcher")
    _, others = await member(client, "other-watcher")
    mine, phone, other = [await login(client, who) for who in (credentials, credentials, others)]
    listed = (await client.get("/api/sessions", headers=bearer(mine))).json()
    assert [session["current"] for session in sorted(listed, key=lambda session: session["created_at"])] == [
        True,
        False,
    ]
    assert {session["address"] for session in listed} == {ADDRESS}
    (gone,) = [session["id"] for session in listed if not session["current"]]
    assert (await client.delete(f"/api/sessions/{gone}", headers=bearer(other))).status_code == 404
    assert await code(client, phone) == ""
    assert (await client.delete(f"/api/sessions/{gone}", headers=bearer(mine))).json() == {"ended": 1}
    assert (await code(client, phone), await code(client, mine)) == ("token_revoked", "")


async def test_a_new_password_and_a_deleted_account_end_every_session(client: httpx2.AsyncClient) -> None:
    path, credentials = await member(client, "changer")
    pair = await login(client, credentials)
    change = {"current_password": "long enough", "new_password": "even longer"}
    got = await client.put(f"{path}/password", json=change, headers=bearer(pair))
    assert (got.status_code, got.content) == (204, b"")
    assert await code(client, pair) == "token_revoked"
    assert (await client.post("/api/login", json=credentials)).status_code == 401
    pair = await login(client, credentials | {"password": "even longer"})
    got = await client.delete(path, headers=ADMIN)
    assert (got.status_code, got.content) == (204, b"")
    assert await code(client, pair) == "token_revoked"
    assert (await client.post("/api/refresh", json={"refresh_token": pair["refresh_token"]})).status_code == 401


async def test_an_api_key_does_what_its_scopes_say_for_its_owner(client: httpx2.AsyncClient) -> None:
    _, credentials = await member(client, "machinist")
    pair = await login(client, credentials)
    made = await client.post("/api/keys", json={"name": "ci", "scopes": ["orders:read"]}, headers=bearer(pair))
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    key = {"x-api-key": made.json()["key"]}
    order = await client.post("/api/orders", json=ORDER, headers=bearer(pair))
    assert (await client.get("/api/orders", headers=key)).json() == [order.json()]
    assert (await client.post("/api/orders", json=ORDER, headers=key)).status_code == 403
    assert (await client.post("/api/suppliers", json=SUPPLIER, headers=key)).status_code == 403
    for method, route in (("GET", "/api/keys"), ("GET", "/api/sessions"), ("GET", "/api/users")):
        got = await client.request(method, route, headers=key)
        assert (got.status_code, got.json()["code"]) == (401, "token_missing"), route
    (listed,) = (await client.get("/api/keys", headers=bearer(pair))).json()
    assert "key" not in listed
    assert listed["last_used_at"]
    too_much = {"name": "x", "scopes": ["users:write"]}
    assert (await client.post("/api/keys", json=too_much, headers=bearer(pair))).status_code == 422
    assert (await client.post("/api/keys/introspect", json={"key": made.json()["key"]})).status_code == 405


async def test_services_believe_the_gateway_alone(shop: Shop, client: httpx2.AsyncClient) -> None:
    plain = {"request-user-id": "1", "request-user-role": "admin"}
    users, orders = shop.url("users"), shop.url("orders")
    for headers in (plain, plain | {"request-identity": "x"}, plain | shop.vouch("suppliers")):
        for url in (f"{users}/api/users", f"{orders}/api/orders"):
            got = await client.get(url, headers=headers)
            assert got.status_code == 401, url
            assert got.json()["code"] in ("identity_missing", "identity_invalid")
    assert (await client.get(f"{orders}/api/orders", headers=shop.vouch("orders"))).status_code == 200
    # What a client sends never gets there.
    got = await client.get("/api/sessions", headers=shop.vouch("users"))
    assert got.status_code == 401


async def test_a_token_says_little(client: httpx2.AsyncClient) -> None:
    _, credentials = await member(client, "reader")
    payload = (await login(client, credentials))["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert set(claims) == {"id", "user_type", "iat", "exp", "jti", "sid"}
    assert claims["exp"] - claims["iat"] == 900


async def test_no_secret_of_a_session_is_in_a_log(shop: Shop, client: httpx2.AsyncClient) -> None:
    _, credentials = await member(client, "logged")
    pair = await login(client, credentials)
    made = await client.post("/api/keys", json={"name": "ci", "scopes": ["orders:read"]}, headers=bearer(pair))
    await client.get("/api/orders", headers={"x-api-key": made.json()["key"]})
    await client.post("/api/refresh", json={"refresh_token": pair["refresh_token"]})
    for name in shop.ports:
        log = shop.log(name)
        for secret in (pair["access_token"], pair["refresh_token"], made.json()["key"], "long enough"):
            assert secret not in log, name
