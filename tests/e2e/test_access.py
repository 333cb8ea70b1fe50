"""Every endpoint, called without a token, with a bad one, with the wrong role and with the right one."""

import re
from time import time
from typing import Any

import httpx2
import pytest

from limen.auth import issue
from limen.auth.jwt_live import issue as issue_at
from published import Operation, Published
from shop_processes import AUTH, SERVICES, Shop

USER = {"username": "newcomer", "password": "long enough", "user_type": "default"}
ORDER = {"address": "1 Main St", "item": "lamp"}
SUPPLIER = {"name": "Ada", "surname": "Lovelace", "address": "London"}

# Of a service with rows that anyone may read: suppliers, and those that `limen new service` has made.
ENDPOINTS_OF_A_SERVICE = [
    ("GET", "", "anyone", 200),
    ("POST", "", "user", 201),
    ("GET", "/999", "anyone", 404),
    ("PUT", "/999", "user", 404),
    ("DELETE", "/999", "user", 404),
]

# Method, path, who may call (everybody, every user, admins), and the status for an admin. They are written by hand, so that
# no rule of the gateway changes unnoticed; bodies are the examples of its document.
ENDPOINTS = [
    ("POST", "/api/login", "anyone", 201),
    ("POST", "/api/refresh", "anyone", 401),
    ("POST", "/api/logout", "anyone", 401),
    ("POST", "/api/logout-all", "user", 200),
    ("GET", "/api/sessions", "user", 200),
    ("DELETE", "/api/sessions/0123456789012345678901", "user", 404),
    ("GET", "/api/keys", "user", 200),
    ("POST", "/api/keys", "user", 201),
    ("DELETE", "/api/keys/999", "user", 404),
    ("GET", "/api/users", "admin", 200),
    ("POST", "/api/users", "admin", 201),
    ("GET", "/api/users/me", "user", 200),
    ("GET", "/api/users/3", "admin", 200),
    ("GET", "/api/users/999", "admin", 404),
    ("PUT", "/api/users/2", "admin", 200),
    ("PUT", "/api/users/999", "admin", 404),
    ("PUT", "/api/users/999/lock", "admin", 404),
    ("PUT", "/api/users/1/lock", "admin", 403),
    ("DELETE", "/api/users/999/lock", "admin", 404),
    ("GET", "/api/users/2/keys", "admin", 200),
    ("GET", "/api/users/999/keys", "admin", 404),
    ("DELETE", "/api/users/999/keys", "admin", 404),
    ("DELETE", "/api/users/2/keys/999", "admin", 404),
    ("PUT", "/api/users/999/password", "admin", 404),
    ("DELETE", "/api/users/1", "admin", 403),
    ("DELETE", "/api/users/999", "admin", 404),
    ("GET", "/api/orders", "user", 200),
    ("POST", "/api/orders", "user", 201),
    ("GET", "/api/orders/999", "user", 404),
    ("POST", "/api/orders/999/cancel", "user", 404),
    *(
        (method, f"/api/{name}{path}", allowed_callers, status)
        for name in SERVICES
        if name not in ("users", "orders")
        for method, path, allowed_callers, status in ENDPOINTS_OF_A_SERVICE
    ),
]

# Without a rule, and for services alone (test_how_services_speak.py).
NOT_HERE = {"GET /healthz", "POST /events"}

ADMIN = issue(AUTH, 1, "admin")
BAD_TOKENS = {
    "none": (None, "Auth token is missing in headers."),
    "expired": (issue_at(AUTH, 1, "admin", time() - 7 * 3600), "Auth token is expired."),
    "corrupted": (ADMIN[:-3] + "xyz", "Auth token is corrupted."),
    "bare": ("", "Auth token is corrupted."),
}


@pytest.fixture(scope="module")
def published(shop: Shop) -> Published:
    """What the gateway publishes."""
    return Published(httpx2.get(f"{shop.url()}/openapi.json", trust_env=False).json())


def operation_of(published: Published, method: str, path: str) -> Operation:
    """Return the operation that answers."""
    found = [
        operation
        for operation in published.operations
        if operation.method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", operation.path), path)
    ]
    return min(found, key=lambda operation: operation.path.count("{"))  # the more specific one, as the gateway does


def test_every_operation_of_the_gateway_is_called_here(published: Published) -> None:
    called = {operation_of(published, method, path).name for method, path, _, _ in ENDPOINTS}
    assert called | NOT_HERE == {operation.name for operation in published.operations}


@pytest.mark.parametrize(("method", "path", "allowed_callers", "status"), ENDPOINTS)
async def test_endpoint(
    published: Published, client: httpx2.AsyncClient, method: str, path: str, allowed_callers: str, status: int
) -> None:
    schema = operation_of(published, method, path).body
    body: Any = None if schema is None else published.examples(schema)[0]

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
