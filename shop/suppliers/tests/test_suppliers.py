"""The suppliers service, on both kinds of database."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from limen_kit.testing import Signer, running
from limen_kit.testing.migrations import missing_migrations
from shop_suppliers.database import config
from shop_suppliers.service import create_app
from shop_suppliers.settings import Settings

GATEWAY = Signer("suppliers")
OWNER, OTHER, ADMIN = GATEWAY.identity_headers(2), GATEWAY.identity_headers(3), GATEWAY.identity_headers(1, "admin")
FORM = {"name": "Ada", "surname": "Lovelace", "address": "12 St James's Square"}


@pytest.fixture(params=["plain", GATEWAY.keys], ids=["plain", "signed"])
async def client(request: pytest.FixtureRequest, database_url: str) -> AsyncGenerator[httpx2.AsyncClient]:
    settings = Settings(database_url=database_url, identity_keys=request.param)
    async with running(create_app(settings), config(database_url)) as http:
        yield http


async def test_a_supplier_is_created_by_a_caller_and_read_by_anybody(client: httpx2.AsyncClient) -> None:
    created = await client.post("/api/suppliers", json=FORM, headers=OWNER)
    assert created.status_code == 201
    assert created.headers["location"] == f"/api/suppliers/{created.json()['id']}"
    assert created.json() | FORM == created.json()
    assert created.json()["created_by"] == 2
    assert created.json()["created_at"].endswith(("Z", "+00:00"))
    assert (await client.get(created.headers["location"])).json() == created.json()
    assert (await client.get("/api/suppliers")).json() == [created.json()]


async def test_creating_changing_and_deleting_need_identity(client: httpx2.AsyncClient) -> None:
    await client.post("/api/suppliers", json=FORM, headers=OWNER)
    for method, path in (("POST", ""), ("PUT", "/1"), ("DELETE", "/1")):
        response = await client.request(method, f"/api/suppliers{path}", json=FORM)
        assert (response.status_code, response.json()["code"]) == (401, "identity_missing")
    assert (await client.get("/api/suppliers")).headers["x-total-count"] == "1"


async def test_lists_come_in_pages_and_can_be_searched(client: httpx2.AsyncClient) -> None:
    for name in ("Ada", "Bob", "Cyd", "100% wool", "under_score"):
        await client.post("/api/suppliers", json=FORM | {"name": name}, headers=OWNER)
    page = await client.get("/api/suppliers?limit=2&offset=1")
    assert [s["name"] for s in page.json()] == ["Bob", "Cyd"]
    assert page.headers["x-total-count"] == "5"
    for q, names in {"BOB": ["Bob"], "%25": ["100% wool"], "_": ["under_score"], "zz": [], "lovelace": 5}.items():
        response = await client.get(f"/api/suppliers?q={q}")
        found = [s["name"] for s in response.json()]
        assert (len(found) if isinstance(names, int) else found) == names, q
        assert response.headers["x-total-count"] == str(len(found))


async def test_the_creator_and_admins_change_the_named_fields(client: httpx2.AsyncClient) -> None:
    path = (await client.post("/api/suppliers", json=FORM, headers=OWNER)).headers["location"]
    changed = await client.put(path, json={"name": "Augusta"}, headers=OWNER)
    assert changed.status_code == 200
    assert changed.json() | FORM | {"name": "Augusta"} == changed.json()
    assert (await client.put(path, json={}, headers=ADMIN)).json() == changed.json()
    assert (await client.put(path, json={"address": "x"}, headers=ADMIN)).json()["address"] == "x"
    for response in (
        await client.put(path, json={"name": "x"}, headers=OTHER),
        await client.delete(path, headers=OTHER),
    ):
        assert (response.status_code, response.json()["detail"]) == (
            403,
            "You are not allowed to change suppliers of others.",
        )
    assert (await client.put(path, json={"name": None}, headers=OWNER)).status_code == 422
    assert (await client.put(path, json={"id": 9}, headers=OWNER)).status_code == 422


async def test_a_deleted_supplier_is_gone(client: httpx2.AsyncClient) -> None:
    path = (await client.post("/api/suppliers", json=FORM, headers=OWNER)).headers["location"]
    deleted = await client.delete(path, headers=OWNER)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for response in (
        await client.get(path),
        await client.put(path, json={}, headers=OWNER),
        await client.delete(path, headers=OWNER),
    ):
        assert (response.status_code, response.json()["detail"]) == (404, "Supplier not found with this id.")


async def test_readiness_asks_the_database(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/readyz")).json() == {"status": "ready"}


def test_migrations_match_the_models(tmp_path: Path) -> None:
    assert missing_migrations(Path(__file__).parents[1], tmp_path) == ""
