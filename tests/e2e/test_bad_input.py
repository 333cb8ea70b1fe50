"""Bad input is always answered with a clear 4xx: by the gateway, and by each service that is called directly."""

import httpx2
import pytest

from limen.auth import issue
from limen_kit.testing.contract import check_contract
from published import Published
from shop_processes import AUTH, GATEWAY, SERVICES, Shop

TOKEN = {"authorization": f"Bearer {issue(AUTH, 1, 'admin')}"}
JSON = {"content-type": "application/json"}

BODIES = {
    "malformed": b'{"name": ',
    "not json": b"<xml/>",
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "missing field": b'{"name": "x", "surname": "y"}',
    "unknown field": b'{"name": "x", "surname": "y", "address": "z", "id": 1}',
    "wrong type": b'{"name": 5, "surname": "y", "address": "z"}',
    "empty string": b'{"name": "", "surname": "y", "address": "z"}',
    "very long string": b'{"name": "' + b"x" * 100_000 + b'", "surname": "y", "address": "z"}',
    "NUL": b'{"name": "a\\u0000b", "surname": "y", "address": "z"}',
    "lone surrogate": b'{"name": "\\ud800", "surname": "y", "address": "z"}',
    "invalid UTF-8": b'{"name": "\xff", "surname": "y", "address": "z"}',
    "huge integer": b'{"name": ' + b"9" * 5000 + b', "surname": "y", "address": "z"}',
    "deep nesting": b"[" * 100_000,
}


@pytest.mark.parametrize("case", BODIES)
async def test_bodies(shop: Shop, client: httpx2.AsyncClient, case: str) -> None:
    response = await client.post("/api/suppliers", content=BODIES[case], headers=TOKEN | JSON)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"]
    direct = await client.post(
        f"{shop.url('suppliers')}/api/suppliers",
        content=BODIES[case],
        headers=shop.identity_headers("suppliers") | JSON,
    )
    assert direct.status_code in (400, 422), direct.text


async def test_wrong_content_type_and_oversized_bodies(client: httpx2.AsyncClient) -> None:
    body = b'{"name": "x", "surname": "y", "address": "z"}'
    assert (await client.post("/api/suppliers", content=body, headers=TOKEN)).status_code == 415
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await client.post("/api/suppliers", content=b"name=x", headers=TOKEN | form)).status_code == 415
    # Small enough to be discarded after a refusal: the connection of a client that sends far more is reset.
    huge = await client.post("/api/suppliers", content=b" " * (1 << 19), headers=TOKEN | JSON)
    assert (huge.status_code, huge.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/api/users/x",
        "/api/users/0",
        "/api/users/-1",
        "/api/users/2147483648",
        "/api/users/" + "9" * 5000,
        "/api/users/1.5",
        "/api/users/%00",
        "/api/users?limit=0",
        "/api/users?limit=x",
        "/api/users?offset=" + "9" * 400,
        "/api/users?q=%00",
        "/api/users?unknown=1",
        "/api/users?q=" + "x" * 201,
    ],
)
async def test_parameters(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path, headers=TOKEN)
    assert response.status_code in (400, 422), response.text
    assert response.headers["content-type"] == "application/problem+json"


async def test_unknown_paths_and_methods(client: httpx2.AsyncClient) -> None:
    for path in ("/", "/api", "/api/nothing", "/api/users/1/more", "/API/users"):
        response = await client.get(path)
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), path
    wrong = await client.patch("/api/suppliers", json={})
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    slash = await client.get("/api/suppliers/")
    assert (slash.status_code, slash.headers["location"]) == (307, "/api/suppliers")


@pytest.mark.parametrize("name", [GATEWAY, *SERVICES])
def test_every_operation_keeps_its_contract(shop: Shop, name: str) -> None:
    headers = TOKEN if name == GATEWAY else shop.identity_headers(name)
    document = httpx2.get(f"{shop.url(name)}/openapi.json", trust_env=False).json()
    assert check_contract(shop.url(name), headers) == len(Published(document).operations) >= 5
