"""Events at the orders service: what becomes of the orders of a deleted user, whenever and however often it is told."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from limen_kit.testing import Signer, running
from shop_orders.database import config
from shop_orders.models import DeletedUser, Order
from shop_orders.service import create_app
from shop_orders.settings import Settings
from shop_orders.suppliers import Suppliers

GATEWAY = Signer("orders")
USERS = GATEWAY.identity_headers("users", "service")
OWNER, OTHER, ADMIN = GATEWAY.identity_headers(2), GATEWAY.identity_headers(3), GATEWAY.identity_headers(1, "admin")
FORM = {"address": "1 Main St", "item": "lamp"}


def user_deleted(number: object, event_id: str = "e-1", **members: object) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": event_id, "source": "users", "type": "user.deleted", "data": {"id": number}}
    return event | members


@pytest.fixture(params=["plain", GATEWAY.keys], ids=["plain", "signed"])
async def client(request: pytest.FixtureRequest, database_url: str) -> AsyncGenerator[httpx2.AsyncClient]:
    settings = Settings(database_url=database_url, identity_keys=request.param)
    async with running(create_app(settings), config(database_url)) as http:
        yield http


async def post(client: httpx2.AsyncClient, event: object, headers: dict[str, str] = USERS) -> httpx2.Response:
    return await client.post("/events", json=event, headers=headers | {"content-type": "application/cloudevents+json"})


async def test_orders_of_a_deleted_user_are_cancelled_and_their_addresses_erased(client: httpx2.AsyncClient) -> None:
    key = {"idempotency-key": "k-1"}
    placed = await client.post("/api/orders", json=FORM, headers=OWNER | key)
    cancelled = await client.post("/api/orders", json=FORM | {"item": "desk"}, headers=OWNER)
    await client.post(f"{cancelled.headers['location']}/cancel", headers=OWNER)
    others = await client.post("/api/orders", json=FORM, headers=OTHER)

    told = await post(client, user_deleted(2))

    assert (told.status_code, told.content) == (204, b"")
    for before in (placed, cancelled):
        now = await client.get(before.headers["location"], headers=ADMIN)
        assert now.json() == before.json() | {"status": "cancelled", "address": ""}
        assert now.headers["etag"] != before.headers["etag"]
    assert (await client.get(others.headers["location"], headers=OTHER)).json() == others.json()
    # The digest of a short address can be guessed, so it is erased with it.
    assert await Order.filter(created_by=2).values_list("key", "digest") == [(None, None)] * 2


async def test_an_event_that_comes_twice_changes_nothing_more(client: httpx2.AsyncClient) -> None:
    order = (await client.post("/api/orders", json=FORM, headers=OWNER)).headers["location"]
    answers = await asyncio.gather(*(post(client, user_deleted(2)) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {204}
    first = await client.get(order, headers=ADMIN)
    assert (await post(client, user_deleted(2))).status_code == 204
    assert (await post(client, user_deleted(2, "e-2"))).status_code == 204
    again = await client.get(order, headers=ADMIN)
    assert (again.json(), again.headers["etag"]) == (first.json(), first.headers["etag"])
    assert await DeletedUser.all().values_list("id", flat=True) == [2]


async def test_events_may_come_in_any_order_and_before_any_order(client: httpx2.AsyncClient) -> None:
    order = (await client.post("/api/orders", json=FORM, headers=OWNER)).headers["location"]
    for number, event_id in ((900, "e-3"), (2, "e-2"), (3, "e-1")):
        assert (await post(client, user_deleted(number, event_id))).status_code == 204
    assert (await client.get(order, headers=ADMIN)).json()["status"] == "cancelled"


async def test_a_token_that_outlives_its_account_places_no_order(client: httpx2.AsyncClient) -> None:
    await post(client, user_deleted(2))
    for key in ({}, {"idempotency-key": "k"}, {"idempotency-key": "k"}):
        refused = await client.post("/api/orders", json=FORM, headers=OWNER | key)
        assert (refused.status_code, refused.json()["code"]) == (403, "account_deleted")
    assert await Order.all().count() == 0
    assert (await client.post("/api/orders", json=FORM, headers=OTHER)).status_code == 201


async def test_after_the_deletion_the_same_order_many_times_at_once_is_refused_each_time(
    client: httpx2.AsyncClient,
) -> None:
    await post(client, user_deleted(2))
    key = {"idempotency-key": "k"}
    answers = await asyncio.gather(*(client.post("/api/orders", json=FORM, headers=OWNER | key) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {403}
    assert await Order.all().count() == 0


async def test_nobody_is_asked_for_the_supplier_of_a_deleted_user(client: httpx2.AsyncClient) -> None:
    await post(client, user_deleted(2))
    order = FORM | {"supplier_id": 1}  # suppliers cannot be looked up here, which is 503 for others
    assert (await client.post("/api/orders", json=order, headers=OWNER)).json()["code"] == "account_deleted"
    assert (await client.post("/api/orders", json=order, headers=OTHER)).json()["code"] == "suppliers_unavailable"


async def test_an_order_is_taken_back_if_the_deletion_comes_after_the_first_look(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def require(suppliers: Suppliers, supplier_id: int) -> None:
        assert (await post(client, user_deleted(2))).status_code == 204

    monkeypatch.setattr(Suppliers, "require", require)
    refused = await client.post("/api/orders", json=FORM | {"supplier_id": 1}, headers=OWNER)
    assert (refused.status_code, refused.json()["code"]) == (403, "account_deleted")
    assert await Order.all().count() == 0


async def test_an_order_that_is_placed_during_the_deletion_does_not_stay(client: httpx2.AsyncClient) -> None:
    async def place(number: int) -> int:
        return (await client.post("/api/orders", json=FORM | {"item": f"item {number}"}, headers=OWNER)).status_code

    statuses = await asyncio.gather(*map(place, range(10)), post(client, user_deleted(2)), *map(place, range(10, 20)))
    placed = sum(status == 201 for status in statuses if isinstance(status, int))
    left = await Order.filter(created_by=2)
    assert len(left) == placed
    assert {(order.status, order.address) for order in left} <= {("cancelled", "")}


async def test_only_a_service_may_tell_and_only_of_itself(client: httpx2.AsyncClient) -> None:
    order = (await client.post("/api/orders", json=FORM, headers=OWNER)).headers["location"]
    for headers in (OWNER, ADMIN, GATEWAY.identity_headers("users"), GATEWAY.identity_headers("suppliers", "service")):
        refused = await post(client, user_deleted(2), headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await post(client, user_deleted(2), {})).status_code == 401
    # Another service speaks for itself, and users are not its business.
    suppliers = GATEWAY.identity_headers("suppliers", "service")
    assert (await post(client, user_deleted(2, source="suppliers"), suppliers)).status_code == 204
    assert (await client.get(order, headers=OWNER)).json()["status"] == "placed"


async def test_an_event_that_means_nothing_here_is_taken(client: httpx2.AsyncClient) -> None:
    assert (await post(client, user_deleted(2, type="user.renamed", data={"name": "x"}))).status_code == 204
    assert await DeletedUser.all().count() == 0


@pytest.mark.parametrize(
    "event",
    [
        {},
        user_deleted(0),
        user_deleted("x"),
        user_deleted(2_147_483_648),
        user_deleted(2, data={}),
        user_deleted(2, specversion="2.0"),
        user_deleted(2, event_id=""),
        user_deleted(2, data=[]),
    ],
)
async def test_a_malformed_event_is_refused(client: httpx2.AsyncClient, event: object) -> None:
    refused = await post(client, event)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert await DeletedUser.all().count() == 0
