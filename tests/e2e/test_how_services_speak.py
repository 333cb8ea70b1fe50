"""Keys, conditions, look-ups and events (docs/how-services-speak.md), through the gateway on both engines."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime
from time import time

import httpx2
import pytest
from fastapi import FastAPI

from limen.auth import issue
from limen_kit.outbox import Delivery, Event, Pace
from limen_kit.service_token import ServiceToken
from shop_processes import AUTH, EVENTS_KEY, SECRET, Shop

ORDER = {"address": "1 Main St", "item": "lamp"}
SUPPLIER = {"name": "Ada", "surname": "Lovelace", "address": "London"}


def signed_in(number: int, role: str = "default") -> dict[str, str]:
    return {"authorization": f"Bearer {issue(AUTH, number, role)}"}


ADMIN = signed_in(1, "admin")


@pytest.fixture(scope="module", params=["direct", "asgi"])
def two_engines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    """The shop, with a gateway on each engine in turn."""
    with Shop(tmp_path_factory.mktemp(f"shop-{request.param}"), engine=request.param) as running:
        yield running


@pytest.fixture
async def gateway(two_engines: Shop) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=two_engines.url(), timeout=30, trust_env=False) as http:
        yield http


async def test_etags_and_conditions_pass_as_they_are(gateway: httpx2.AsyncClient) -> None:
    owner = signed_in(601)
    created = await gateway.post("/api/suppliers", json=SUPPLIER, headers=owner)
    path = created.headers["location"]
    read = await gateway.get(path)
    assert created.headers["etag"] == read.headers["etag"] == '"1"'  # strong: the answers were checked, not rewritten
    had = await gateway.get(path, headers={"if-none-match": '"1"'})
    assert (had.status_code, had.content, had.headers["etag"]) == (304, b"", '"1"')
    answers = await asyncio.gather(
        *(gateway.put(path, json={"name": f"editor {n}"}, headers=owner | {"if-match": '"1"'}) for n in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    refused = next(answer for answer in answers if answer.status_code == 412)
    assert (refused.json()["code"], refused.headers["content-type"]) == (
        "precondition_failed",
        "application/problem+json",
    )
    assert (await gateway.delete(path, headers=owner | {"if-match": '"1"'})).status_code == 412
    assert (await gateway.delete(path, headers=owner | {"if-match": '"2"'})).status_code == 204

    order = (await gateway.post("/api/orders", json=ORDER, headers=owner)).headers["location"]
    assert (await gateway.post(f"{order}/cancel", headers=owner | {"if-match": '"2"'})).status_code == 412
    cancelled = await gateway.post(f"{order}/cancel", headers=owner | {"if-match": '"1"'})
    assert (cancelled.status_code, cancelled.headers["etag"]) == (200, '"2"')


async def test_a_supplier_is_created_once_with_a_key(gateway: httpx2.AsyncClient) -> None:
    headers = signed_in(602) | {"idempotency-key": "k"}
    answers = await asyncio.gather(*(gateway.post("/api/suppliers", json=SUPPLIER, headers=headers) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 4


async def test_an_order_names_a_supplier_that_exists(gateway: httpx2.AsyncClient) -> None:
    owner = signed_in(603)
    supplier = (await gateway.post("/api/suppliers", json=SUPPLIER, headers=owner)).json()["id"]
    placed = await gateway.post("/api/orders", json=ORDER | {"supplier_id": supplier}, headers=owner)
    assert (placed.status_code, placed.json()["supplier_id"]) == (201, supplier)
    unknown = await gateway.post("/api/orders", json=ORDER | {"supplier_id": 999_999}, headers=owner)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "supplier_unknown")


async def test_while_suppliers_are_away_no_order_of_one_is_placed(
    gateway: httpx2.AsyncClient, two_engines: Shop
) -> None:
    owner = signed_in(604) | {"idempotency-key": "k"}
    supplier = (await gateway.post("/api/suppliers", json=SUPPLIER, headers=signed_in(604))).json()["id"]
    order = ORDER | {"supplier_id": supplier}
    two_engines.freeze("suppliers")  # it takes connections and never answers
    try:
        refused = await gateway.post("/api/orders", json=order, headers=owner)
        assert (refused.status_code, refused.json()["code"]) == (503, "suppliers_unavailable")
        assert refused.headers["retry-after"] == "2"
        assert (await gateway.post("/api/orders", json=ORDER, headers=signed_in(604))).status_code == 201
    finally:
        two_engines.thaw("suppliers")
    assert (await gateway.get("/api/suppliers")).status_code == 200
    assert (await gateway.post("/api/orders", json=order, headers=owner)).status_code == 201


class Stored:
    """The outbox of a users service."""

    def __init__(self, *users: int) -> None:
        now = datetime.now(UTC)
        self.events = [Event(f"deleted-{number}", "user.deleted", {"id": number}, now) for number in users]
        self.emptied, self.tried = asyncio.Event(), asyncio.Event()
        self._looks = 0

    async def pending_events(self, limit: int) -> list[Event]:
        self._looks += 1
        if self.events and self._looks > 1:
            self.tried.set()
        if not self.events:
            self.emptied.set()
        return self.events[:limit]

    async def event_delivered(self, event_id: str) -> None:
        self.events = [event for event in self.events if event.id != event_id]


def delivery(shop: Shop, outbox: Stored) -> Delivery:
    return Delivery(
        outbox, f"{shop.url()}/events", sender="users", key=EVENTS_KEY, pace=Pace(look=0.05, shortest=0.05, longest=0.5)
    )


async def test_orders_of_deleted_users_are_cancelled(gateway: httpx2.AsyncClient, two_engines: Shop) -> None:
    orders = [
        (await gateway.post("/api/orders", json=ORDER, headers=signed_in(n))).headers["location"] for n in (605, 606)
    ]
    outbox = Stored(605, 605, 606)  # twice, as after a lost confirmation
    async with delivery(two_engines, outbox).running(FastAPI()):
        await outbox.emptied.wait()
    for order in orders:
        now = (await gateway.get(order, headers=ADMIN)).json()
        assert (now["status"], now["address"]) == ("cancelled", "")
    late = await gateway.post("/api/orders", json=ORDER, headers=signed_in(605))
    assert (late.status_code, late.json()["code"]) == (403, "account_deleted")


async def test_an_event_waits_for_orders_that_are_down(gateway: httpx2.AsyncClient, two_engines: Shop) -> None:
    order = (await gateway.post("/api/orders", json=ORDER, headers=signed_in(607))).headers["location"]
    two_engines.kill("orders")
    outbox = Stored(607)
    try:
        async with delivery(two_engines, outbox).running(FastAPI()):
            await outbox.tried.wait()
            two_engines.spawn("orders")
            await outbox.emptied.wait()
    finally:
        await asyncio.to_thread(two_engines.ready, "orders")
    assert (await gateway.get(order, headers=ADMIN)).json()["status"] == "cancelled"


async def test_events_are_open_to_the_users_service_alone_and_its_token_opens_nothing_else(
    gateway: httpx2.AsyncClient,
) -> None:
    event = {"specversion": "1.0", "id": "e", "source": "users", "type": "user.deleted", "data": {"id": 608}}
    media = {"content-type": "application/cloudevents+json"}
    order = (await gateway.post("/api/orders", json=ORDER, headers=signed_in(608))).headers["location"]

    def bearer(name: str, key: str, audience: str = "events", at: float = 0) -> dict[str, str]:
        return {"authorization": f"Bearer {ServiceToken(name, key, audience=audience).at(at or time())}"}

    refused = [
        {},
        ADMIN,
        signed_in(608, "service"),  # a role that no user has, and still another secret
        bearer("users", SECRET),
        bearer("users", EVENTS_KEY, audience="orders"),
        bearer("suppliers", EVENTS_KEY),
        bearer("users", EVENTS_KEY, at=time() - 3600),
    ]
    for headers in refused:
        answer = await gateway.post("/events", json=event, headers=headers | media)
        assert answer.status_code == 401, headers
    service = bearer("users", EVENTS_KEY)
    for method, path in (
        ("GET", "/api/orders"),
        ("GET", "/api/users"),
        ("POST", "/api/suppliers"),
        ("GET", "/api/sessions"),
    ):
        assert (await gateway.request(method, path, headers=service)).status_code == 401
    others = await gateway.post("/events", json=event | {"source": "suppliers"}, headers=service | media)
    assert (others.status_code, others.json()["code"]) == (403, "forbidden")
    assert (await gateway.post("/events", json=event | {"more": 1}, headers=service | media)).status_code == 422
    assert (await gateway.get(order, headers=signed_in(608))).json()["status"] == "placed"


async def test_deleting_a_user_cancels_their_orders_even_if_orders_were_down(
    gateway: httpx2.AsyncClient, two_engines: Shop
) -> None:
    user = {"username": f"leaver-{time()}"[:40], "password": "long enough", "user_type": "default"}
    orders: list[str] = []
    for down in (False, True):
        user["username"] += "x"
        number = (await gateway.post("/api/users", json=user, headers=ADMIN)).json()["id"]
        order = (await gateway.post("/api/orders", json=ORDER, headers=signed_in(number))).headers["location"]
        if down:
            two_engines.kill("orders")
        assert (await gateway.delete(f"/api/users/{number}", headers=ADMIN)).status_code == 204
        if down:
            two_engines.restart("orders")
        orders.append(order)
    async with asyncio.timeout(30):
        for order in orders:
            while (await gateway.get(order, headers=ADMIN)).json()["status"] != "cancelled":  # noqa: ASYNC110  # nothing but asking tells when the event has come
                await asyncio.sleep(0.1)
