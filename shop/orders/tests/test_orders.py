"""The orders service, on both kinds of database."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest
from tortoise.exceptions import IntegrityError

from limen_kit.testing import Signer, running
from limen_kit.testing.migrations import missing_migrations
from shop_orders.database import config
from shop_orders.models import Order
from shop_orders.service import create_app
from shop_orders.settings import Settings

GATEWAY = Signer("orders")
OWNER, OTHER, ADMIN = GATEWAY.identity_headers(2), GATEWAY.identity_headers(3), GATEWAY.identity_headers(1, "admin")
FORM = {"address": "1 Main St", "item": "lamp"}


@pytest.fixture(params=["plain", GATEWAY.keys], ids=["plain", "signed"])
async def client(request: pytest.FixtureRequest, database_url: str) -> AsyncGenerator[httpx2.AsyncClient]:
    settings = Settings(database_url=database_url, identity_keys=request.param)
    async with running(create_app(settings), config(database_url)) as http:
        yield http


async def test_an_order_is_placed_and_read(client: httpx2.AsyncClient) -> None:
    placed = await client.post("/api/orders", json=FORM, headers=OWNER)
    assert placed.status_code == 201
    assert placed.json() | FORM | {"status": "placed", "created_by": 2} == placed.json()
    assert set(placed.json()) == {"id", "address", "item", "status", "created_by", "created_at"}
    assert (await client.get(placed.headers["location"], headers=OWNER)).json() == placed.json()


async def test_every_endpoint_needs_identity(client: httpx2.AsyncClient) -> None:
    for method, path in (("GET", ""), ("POST", ""), ("GET", "/1"), ("POST", "/1/cancel")):
        response = await client.request(method, f"/api/orders{path}", json=FORM)
        assert (response.status_code, response.json()["code"]) == (401, "identity_missing")


async def test_only_owners_and_admins_see_an_order(client: httpx2.AsyncClient) -> None:
    own_order = (await client.post("/api/orders", json=FORM, headers=OWNER)).headers["location"]
    await client.post("/api/orders", json=FORM | {"item": "Desk"}, headers=OTHER)
    for response in (
        await client.get(own_order, headers=OTHER),
        await client.post(f"{own_order}/cancel", headers=OTHER),
    ):
        assert (response.status_code, response.json()["detail"]) == (404, "Order not found with this id.")
    assert [o["item"] for o in (await client.get("/api/orders", headers=OWNER)).json()] == ["lamp"]
    assert [o["item"] for o in (await client.get("/api/orders", headers=OTHER)).json()] == ["Desk"]
    everything = await client.get("/api/orders", headers=ADMIN)
    assert (len(everything.json()), everything.headers["x-total-count"]) == (2, "2")
    assert [o["item"] for o in (await client.get("/api/orders?q=dES", headers=ADMIN)).json()] == ["Desk"]
    page = await client.get("/api/orders?limit=1&offset=1", headers=ADMIN)
    assert ([o["item"] for o in page.json()], page.headers["x-total-count"]) == (["Desk"], "2")


async def test_an_order_is_cancelled_once(client: httpx2.AsyncClient) -> None:
    path = (await client.post("/api/orders", json=FORM, headers=OWNER)).headers["location"]
    responses = await asyncio.gather(*(client.post(f"{path}/cancel", headers=OWNER) for _ in range(5)))
    assert sorted(response.status_code for response in responses) == [200, 409, 409, 409, 409]
    again = await client.post(f"{path}/cancel", headers=ADMIN)
    assert (again.status_code, again.json()["detail"]) == (409, "Order is already cancelled.")
    assert (await client.get(path, headers=OWNER)).json()["status"] == "cancelled"


async def test_repeated_requests_with_an_idempotency_key_make_one_order(client: httpx2.AsyncClient) -> None:
    headers = OWNER | {"idempotency-key": "k-1"}
    responses = await asyncio.gather(*(client.post("/api/orders", json=FORM, headers=headers) for _ in range(10)))
    assert {response.status_code for response in responses} == {201}
    assert len({response.text for response in responses}) == 1
    assert len({response.headers["location"] for response in responses}) == 1
    assert sum(response.headers.get("idempotency-replayed") == "true" for response in responses) == 9
    assert (await client.get("/api/orders", headers=OWNER)).headers["x-total-count"] == "1"


async def test_a_repetition_gets_the_first_response(client: httpx2.AsyncClient) -> None:
    headers = OWNER | {"idempotency-key": "k-1"}
    first = await client.post("/api/orders", json=FORM, headers=headers)
    assert "idempotency-replayed" not in first.headers
    path = first.headers["location"]
    await client.post(f"{path}/cancel", headers=OWNER)
    again = await client.post("/api/orders", json=FORM, headers=headers)
    assert (again.status_code, again.text, again.headers["location"]) == (201, first.text, path)
    assert (await client.get(path, headers=OWNER)).json()["status"] == "cancelled"


@pytest.mark.parametrize("key", [{}, {"idempotency-key": "k-2"}])
async def test_another_conflict_is_no_repetition(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, key: dict[str, str]
) -> None:
    await client.post("/api/orders", json=FORM, headers=OWNER)

    async def create(**fields: object) -> Order:
        raise IntegrityError("duplicate key value violates unique constraint orders_pkey")

    monkeypatch.setattr(Order, "create", create)
    response = await client.post("/api/orders", json=FORM, headers=OWNER | key)
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert "orders_pkey" not in response.text


async def test_a_key_belongs_to_one_body_and_one_caller(client: httpx2.AsyncClient) -> None:
    key = {"idempotency-key": "k-1"}
    first = await client.post("/api/orders", json=FORM, headers=OWNER | key)
    reused = await client.post("/api/orders", json=FORM | {"item": "desk"}, headers=OWNER | key)
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")
    others = await client.post("/api/orders", json=FORM, headers=OTHER | key)
    assert (others.status_code, others.json()["created_by"]) == (201, 3)
    assert others.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", [b"", b"a b", b"\xc3\xa9", b"x" * 256])
async def test_bad_keys_are_refused(client: httpx2.AsyncClient, key: bytes) -> None:
    headers = [*OWNER.items(), ("idempotency-key", key)]
    response = await client.post("/api/orders", json=FORM, headers=[(n, v) for n, v in headers])  # pyright: ignore[reportArgumentType]
    assert response.status_code == 422


@pytest.mark.parametrize(
    "body", [{}, {"item": "x"}, FORM | {"more": 1}, FORM | {"item": ""}, FORM | {"item": "a\x00"}, FORM | {"item": 1}]
)
async def test_bad_bodies_are_refused(client: httpx2.AsyncClient, body: object) -> None:
    assert (await client.post("/api/orders", json=body, headers=OWNER)).status_code == 422


def test_migrations_match_the_models(tmp_path: Path) -> None:
    assert missing_migrations(Path(__file__).parents[1], tmp_path) == ""
