"""Sessions through the gateway: login, refresh, reuse of a refresh token, logout, and everything else that ends one."""

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from limen.auth import issue
from shop_processes import AUTH, Shop

ADMIN = {"authorization": f"Bearer {issue(AUTH, 1, 'admin')}"}
ORDER = {"address": "1 Main St", "item": "lamp"}
SUPPLIER = {"name": "Ada", "surname": "Lovelace", "address": "London"}

ADDRESS = "127.0.0.9"


@pytest.fixture
async def client(shop: Shop) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client with an address of its own: logins from the address of other tests are throttled."""
    transport = httpx2.AsyncHTTPTransport(local_address=ADDRESS)
    async with httpx2.AsyncClient(base_url=shop.url(), timeout=30, transport=transport) as http:
        yield http


def bearer(pair: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {pair['access_token']}"}


async def create_user(client: httpx2.AsyncClient, name: str) -> tuple[str, dict[str, str]]:
    """Create a user; return its path and credentials."""
    credentials = {"username": name, "password": "long enough"}
    created = await client.post("/api/users", json=credentials | {"user_type": "default"}, headers=ADMIN)
    assert created.status_code == 201, created.text
    return created.headers["location"], credentials


async def login(client: httpx2.AsyncClient, credentials: dict[str, str]) -> dict[str, Any]:
    response = await client.post("/api/login", json=credentials)
    assert response.status_code == 201, response.text
    return response.json()


async def error_code(client: httpx2.AsyncClient, pair: dict[str, Any]) -> str:
    response = await client.get("/api/orders", headers=bearer(pair))
    return "" if response.status_code == 200 else response.json()["code"]


async def test_a_session_is_refreshed_and_ends_when_an_old_token_is_used(
    client: httpx2.AsyncClient,
) -> None:
    _, credentials = await create_user(client, "refresher")
    pairs = [await login(client, credentials)]
    for _ in range(3):
        response = await client.post("/api/refresh", json={"refresh_token": pairs[-1]["refresh_token"]})
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "no-store"
        pairs.append(response.json())
    assert len({pair["refresh_token"] for pair in pairs}) == len({pair["access_token"] for pair in pairs}) == 4
    assert [await error_code(client, pair) for pair in pairs] == [""] * 4
    for pair in (pairs[1], pairs[-1]):
        response = await client.post("/api/refresh", json={"refresh_token": pair["refresh_token"]})
        assert (response.status_code, response.json()["code"]) == (401, "refresh_token_invalid")
        assert "session-ended" not in response.headers
    assert [await error_code(client, pair) for pair in pairs] == ["token_revoked"] * 4


async def test_logout_is_immediate_and_of_one_session(client: httpx2.AsyncClient) -> None:
    _, credentials = await create_user(client, "leaver")
    one, two = await login(client, credentials), await login(client, credentials)
    response = await client.post("/api/logout", json={"refresh_token": one["refresh_token"]})
    assert (response.status_code, response.json()) == (200, {"ended": 1})
    assert (await error_code(client, one), await error_code(client, two)) == ("token_revoked", "")
    response = await client.post("/api/refresh", json={"refresh_token": one["refresh_token"]})
    assert response.status_code == 401
    three = await login(client, credentials)
    response = await client.post("/api/logout-all", headers=bearer(two))
    assert response.json() == {"ended": 2}
    assert [await error_code(client, pair) for pair in (two, three)] == ["token_revoked"] * 2


async def test_callers_list_and_end_their_sessions(client: httpx2.AsyncClient) -> None:
    _, credentials = await create_user(client, "watcher")
    _, others = await create_user(client, "other-watcher")
    mine, phone, other = [await login(client, who) for who in (credentials, credentials, others)]
    listed = (await client.get("/api/sessions", headers=bearer(mine))).json()
    assert [session["current"] for session in sorted(listed, key=lambda session: session["created_at"])] == [
        True,
        False,
    ]
    assert {session["address"] for session in listed} == {ADDRESS}
    (other_session,) = [session["id"] for session in listed if not session["current"]]
    assert (await client.delete(f"/api/sessions/{other_session}", headers=bearer(other))).status_code == 404
    assert await error_code(client, phone) == ""
    assert (await client.delete(f"/api/sessions/{other_session}", headers=bearer(mine))).json() == {"ended": 1}
    assert (await error_code(client, phone), await error_code(client, mine)) == ("token_revoked", "")


async def test_a_new_password_and_a_deleted_account_end_every_session(client: httpx2.AsyncClient) -> None:
    path, credentials = await create_user(client, "changer")
    pair = await login(client, credentials)
    change = {"current_password": "long enough", "new_password": "even longer"}
    response = await client.put(f"{path}/password", json=change, headers=bearer(pair))
    assert (response.status_code, response.content) == (204, b"")
    assert await error_code(client, pair) == "token_revoked"
    assert (await client.post("/api/login", json=credentials)).status_code == 401
    pair = await login(client, credentials | {"password": "even longer"})
    response = await client.delete(path, headers=ADMIN)
    assert (response.status_code, response.content) == (204, b"")
    assert await error_code(client, pair) == "token_revoked"
    assert (await client.post("/api/refresh", json={"refresh_token": pair["refresh_token"]})).status_code == 401


async def test_an_api_key_may_do_what_its_scopes_allow(client: httpx2.AsyncClient) -> None:
    _, credentials = await create_user(client, "machinist")
    pair = await login(client, credentials)
    created = await client.post("/api/keys", json={"name": "ci", "scopes": ["orders:read"]}, headers=bearer(pair))
    assert created.status_code == 201
    assert created.headers["cache-control"] == "no-store"
    key = {"x-api-key": created.json()["key"]}
    order = await client.post("/api/orders", json=ORDER, headers=bearer(pair))
    assert (await client.get("/api/orders", headers=key)).json() == [order.json()]
    assert (await client.post("/api/orders", json=ORDER, headers=key)).status_code == 403
    assert (await client.post("/api/suppliers", json=SUPPLIER, headers=key)).status_code == 403
    for method, route in (("GET", "/api/keys"), ("GET", "/api/sessions"), ("GET", "/api/users")):
        response = await client.request(method, route, headers=key)
        assert (response.status_code, response.json()["code"]) == (401, "token_missing"), route
    (listed,) = (await client.get("/api/keys", headers=bearer(pair))).json()
    assert "key" not in listed
    assert listed["last_used_at"]
    bad_form = {"name": "x", "scopes": ["users:write"]}
    assert (await client.post("/api/keys", json=bad_form, headers=bearer(pair))).status_code == 422
    assert (await client.post("/api/keys/introspect", json={"key": created.json()["key"]})).status_code == 405


async def test_services_accept_identities_of_the_gateway_alone(shop: Shop, client: httpx2.AsyncClient) -> None:
    plain = {"request-user-id": "1", "request-user-role": "admin"}
    users, orders = shop.url("users"), shop.url("orders")
    for headers in (plain, plain | {"request-identity": "x"}, plain | shop.identity_headers("suppliers")):
        for url in (f"{users}/api/users", f"{orders}/api/orders"):
            response = await client.get(url, headers=headers)
            assert response.status_code == 401, url
            assert response.json()["code"] in ("identity_missing", "identity_invalid")
    assert (await client.get(f"{orders}/api/orders", headers=shop.identity_headers("orders"))).status_code == 200
    # The gateway drops a client's own identity headers.
    response = await client.get("/api/sessions", headers=shop.identity_headers("users"))
    assert response.status_code == 401


async def test_a_token_has_only_the_documented_claims(client: httpx2.AsyncClient) -> None:
    _, credentials = await create_user(client, "reader")
    payload = (await login(client, credentials))["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert set(claims) == {"id", "user_type", "iat", "exp", "jti", "sid", "iss", "aud"}
    assert (claims["iss"], claims["aud"]) == ("shop", "shop")
    assert claims["exp"] - claims["iat"] == 900


async def test_no_secret_of_a_session_is_in_a_log(shop: Shop, client: httpx2.AsyncClient) -> None:
    _, credentials = await create_user(client, "logged")
    pair = await login(client, credentials)
    created = await client.post("/api/keys", json={"name": "ci", "scopes": ["orders:read"]}, headers=bearer(pair))
    await client.get("/api/orders", headers={"x-api-key": created.json()["key"]})
    await client.post("/api/refresh", json={"refresh_token": pair["refresh_token"]})
    for name in shop.ports:
        log = shop.log(name)
        for secret in (pair["access_token"], pair["refresh_token"], created.json()["key"], "long enough"):
            assert secret not in log, name


async def test_a_demoted_admin_is_none_at_once(client: httpx2.AsyncClient) -> None:
    path, credentials = await create_user(client, "second-admin")
    before = await login(client, credentials)
    assert (await client.put(path, json={"user_type": "admin"}, headers=ADMIN)).status_code == 200
    assert await error_code(client, before) == "token_revoked"
    pair = await login(client, credentials)
    assert (await client.get("/api/users", headers=bearer(pair))).status_code == 200
    demoted = await client.put(path, json={"user_type": "default"}, headers=ADMIN)
    assert (demoted.status_code, "session-ended" in demoted.headers) == (200, False)
    backdoor = credentials | {"username": "backdoor", "user_type": "admin"}
    assert (await client.post("/api/users", json=backdoor, headers=bearer(pair))).json()["code"] == "token_revoked"
    again = await login(client, credentials)
    assert (await client.post("/api/users", json=backdoor, headers=bearer(again))).status_code == 403


async def test_a_locked_user_is_out_until_unlocked(client: httpx2.AsyncClient) -> None:
    path, credentials = await create_user(client, "locked")
    pair = await login(client, credentials)
    own = await client.get("/api/users/me", headers=bearer(pair))
    assert own.json() == (await client.get(path, headers=bearer(pair))).json()
    assert (await client.get("/api/users/1", headers=bearer(pair))).status_code == 403
    assert (await client.put(f"{path}/lock", headers=ADMIN)).status_code == 204
    assert await error_code(client, pair) == "token_revoked"
    assert (await client.post("/api/login", json=credentials)).json()["code"] == "credentials_wrong"
    assert (await client.delete(f"{path}/lock", headers=ADMIN)).status_code == 204
    assert await error_code(client, await login(client, credentials)) == ""
