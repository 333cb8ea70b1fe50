"""Every endpoint, called without a token, with a bad one, with the wrong role and with the right one."""

from time import time
from typing import Any

import httpx2
import pytest

from limen.auth import Jwt, issue
from limen.auth.jwt_live import issue as issue_at
from shop_processes import SECRET

AUTH = Jwt(SECRET)
USER = {"username": "newcomer", "password": "long enough", "user_type": "default"}
ORDER = {"address": "1 Main St", "item": "lamp"}
SUPPLIER = {"name": "Ada", "surname": "Lovelace", "address": "London"}
CHANGE = {"new_password": "long enough"}

# Method, path, body, who may call (everybody, every user, admins), and the status for an admin.
ENDPOINTS: list[tuple[str, str, Any, str, int]] = [
    ("POST", "/api/login", {"username": "admin", "password": "a"}, "anyone", 201),
    ("POST", "/api/refresh", {"refresh_token": "refresh_x"}, "anyone", 401),
    ("POST", "/api/logout", {"refresh_token": "refresh_x"}, "anyone", 401),
    ("POST", "/api/logout-all", None, "user", 200),
    ("GET", "/api/sessions", None, "user", 200),
    ("DELETE", "/api/sessions/0123456789012345678901", None, "user", 404),
    ("GET", "/api/keys", None, "user", 200),
    ("POST", "/api/keys", {"name": "a machine", "scopes": ["orders:read"]}, "user", 201),
    ("DELETE", "/api/keys/999", None, "user", 404),
    ("GET", "/api/users", None, "admin", 200),
    ("POST", "/api/users", USER, "admin", 201),
    ("GET", "/api/users/me", None, "user", 200),
    ("GET", "/api/users/3", None, "admin", 200),
    ("GET", "/api/users/999", None, "admin", 404),
    ("PUT", "/api/users/2", {"full_name": "John"}, "admin", 200),
    ("PUT", "/api/users/999", {"full_name": "John"}, "admin", 404),
    ("PUT", "/api/users/999/lock", None, "admin", 404),
    ("PUT", "/api/users/1/lock", None, "admin", 403),
    ("DELETE", "/api/users/999/lock", None, "admin", 404),
    ("GET", "/api/users/2/keys", None, "admin", 200),
    ("GET", "/api/users/999/keys", None, "admin", 404),
    ("DELETE", "/api/users/999/keys", None, "admin", 404),
    ("DELETE", "/api/users/2/keys/999", None, "admin", 404),
    ("PUT", "/api/users/999/password", CHANGE, "admin", 404),
    ("DELETE", "/api/users/1", None, "admin", 403),
    ("DELETE", "/api/users/999", None, "admin", 404),
    ("GET", "/api/orders", None, "user", 200),
    ("POST", "/api/orders", ORDER, "user", 201),
    ("GET", "/api/orders/999", None, "user", 404),
    ("POST", "/api/orders/999/cancel", None, "user", 404),
    ("GET", "/api/suppliers", None, "anyone", 200),
    ("POST", "/api/suppliers", SUPPLIER, "user", 201),
    ("GET", "/api/suppliers/999", None, "anyone", 404),
    ("PUT", "/api/suppliers/999", {"name": "x"}, "user", 404),
    ("DELETE", "/api/suppliers/999", None, "user", 404),
]

ADMIN = issue(AUTH, 1, "admin")
BAD_TOKENS = {
    "none": (None, "Auth token is missing in headers."),
    "expired": (issue_at(AUTH, 1, "admin", time() - 7 * 3600), "Auth token is expired."),
    "corrupted": (ADMIN[:-3] + "xyz", "Auth token is corrupted."),
    "bare": ("", "Auth token is corrupted."),
}


@pytest.mark.parametrize(("method", "path", "body", "allowed_callers", "status"), ENDPOINTS)
async def test_endpoint(
    client: httpx2.AsyncClient, method: str, path: str, body: Any, allowed_callers: str, status: int
) -> None:
    async def call(token: str | None) -> httpx2.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}" if token else ADMIN}
        return await client.request(method, path, json=body, headers=headers)

    for token, detail in BAD_TOKENS.values():
        response = await call(token)
        if allowed_callers == "anyone":
            assert response.status_code == status
        else:
            assert (response.status_code, response.json()["detail"]) == (401, detail)
            assert response.headers["www-authenticate"].startswith("Bearer")
    # A valid token with an unknown role is refused, and a user is no admin.
    any_role = allowed_callers == "anyone" or path.startswith(("/api/sessions", "/api/logout", "/api/users/me"))
    for role, allowed in (("guest", any_role), ("default", any_role or allowed_callers == "user")):
        response = await call(issue(AUTH, 2, role))
        if allowed:
            assert response.status_code == status
        else:
            assert (response.status_code, response.json()["detail"]) == (
                403,
                "You are not allowed to access this scope.",
            )
    response = await call(ADMIN)
    assert response.status_code == status
    if status >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_errors_of_the_services_reach_the_client_as_they_are(client: httpx2.AsyncClient) -> None:
    headers = {"authorization": f"Bearer {ADMIN}"}
    user = USER | {"username": "once", "email": "once@example.com"}
    assert (await client.post("/api/users", json=user, headers=headers)).status_code == 201
    for status, detail, call in (
        (401, "Username or password is wrong.", client.post("/api/login", json={"username": "x", "password": "y"})),
        (401, "Username or password is wrong.", client.post("/api/login", json={"username": "test", "password": "y"})),
        (
            409,
            "There is already another user with this username.",
            client.post("/api/users", json=user, headers=headers),
        ),
        (
            409,
            "There is already another user with this email.",
            client.post("/api/users", json=user | {"username": "twice"}, headers=headers),
        ),
        (403, "You are not allowed to delete protected users.", client.delete("/api/users/2", headers=headers)),
        (404, "User not found with this id.", client.get("/api/users/999", headers=headers)),
        (404, "Supplier not found with this id.", client.get("/api/suppliers/999")),
        (404, "Order not found with this id.", client.get("/api/orders/999", headers=headers)),
    ):
        response = await call
        assert (response.status_code, response.json()["detail"]) == (status, detail)
        assert response.headers["content-type"] == "application/problem+json"
    invalid = await client.post("/api/users", json=USER | {"username": "two words"}, headers=headers)
    assert (invalid.status_code, invalid.json()["errors"][0]["loc"]) == (422, ["body", "username"])


async def test_users_change_only_their_own_password(client: httpx2.AsyncClient) -> None:
    headers = {"authorization": f"Bearer {ADMIN}"}
    created = await client.post("/api/users", json=USER | {"username": "owner"}, headers=headers)
    owner_headers = {"authorization": f"Bearer {issue(AUTH, created.json()['id'], 'default')}"}
    path = f"{created.headers['location']}/password"
    change = {"current_password": "long enough", "new_password": "even longer"}
    assert (await client.put("/api/users/2/password", json=change, headers=owner_headers)).status_code == 403
    assert (await client.put(path, json=change, headers=owner_headers)).status_code == 204
    login = await client.post("/api/login", json={"username": "owner", "password": "even longer"})
    assert login.status_code == 201
    assert set(login.json()) == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "refresh_expires_at",
        "device_token",
    }


async def test_orders_are_the_callers_own_and_an_idempotency_key_passes(client: httpx2.AsyncClient) -> None:
    one, two = ({"authorization": f"Bearer {issue(AUTH, number, 'default')}"} for number in (501, 502))
    first = await client.post("/api/orders", json=ORDER, headers=one | {"idempotency-key": "k"})
    repeated = await client.post("/api/orders", json=ORDER, headers=one | {"idempotency-key": "k"})
    assert (first.status_code, repeated.status_code, repeated.headers["idempotency-replayed"]) == (201, 201, "true")
    assert repeated.json() == first.json()
    assert (await client.get(first.headers["location"], headers=two)).status_code == 404
    assert (await client.get("/api/orders", headers=two)).json() == []
    assert (await client.get("/api/orders", headers=one)).json() == [first.json()]
    assert (await client.post(f"{first.headers['location']}/cancel", headers=one)).json()["status"] == "cancelled"


@pytest.mark.parametrize("name", ["request-user-id", "Request-User-Id", "REQUEST_USER_ID", "request_user_id"])
async def test_nobody_can_claim_an_identity(client: httpx2.AsyncClient, name: str) -> None:
    headers = {"authorization": f"Bearer {issue(AUTH, 777, 'default')}", name: "1", "request-user-role": "admin"}
    response = await client.post("/api/orders", json=ORDER, headers=headers)
    assert response.json()["created_by"] == 777
    assert (await client.post("/api/suppliers", json=SUPPLIER, headers={name: "1"})).status_code == 401
