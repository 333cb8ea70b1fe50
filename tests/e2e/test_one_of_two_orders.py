"""One of two processes of the orders service is killed or frozen, and comes back: a client in a loop notices nothing."""

import asyncio
from collections import Counter

import httpx2
import pytest

from shop_processes import Shop

# Requests from which the gateway has learned how long a route takes, and those in each phase afterwards.
LEARNED = 120
EACH = 60


class Customer:
    """Reads and places orders through the gateway, again and again; ``statuses`` counts what came of it."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.statuses: Counter[tuple[str, int]] = Counter()
        self._client = client
        self._placed = 0

    async def log_in(self) -> None:
        answer = await self._client.post("/api/login", json={"username": "admin", "password": "a"})
        self._client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"

    async def read(self, count: int) -> None:
        for _ in range(count):
            answer = await self._client.get("/api/orders", params={"limit": 1})
            self.statuses["GET", answer.status_code] += 1

    async def place(self, count: int) -> None:
        """Place orders, each with a key of its own: so the gateway may try again elsewhere."""
        for _ in range(count):
            self._placed += 1
            form = {"address": "12 St James Square", "item": f"item {self._placed}"}
            headers = {"idempotency-key": f"order-{self._placed}"}
            answer = await self._client.post("/api/orders", json=form, headers=headers)
            self.statuses["POST", answer.status_code] += 1

    async def loop(self, count: int) -> None:
        await asyncio.gather(self.read(count), self.place(count // 4))

    async def orders(self) -> int:
        answer = await self._client.get("/api/orders", params={"limit": 100})
        return int(answer.headers["x-total-count"])

    @property
    def placed(self) -> int:
        return self._placed


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", ["killed", "frozen"])
async def test_nobody_notices_that_one_of_two_goes(shop_with_two_orders: Shop, way: str) -> None:
    shop = shop_with_two_orders
    async with httpx2.AsyncClient(base_url=shop.url(), timeout=60, trust_env=False) as client:
        customer = Customer(client)
        await customer.log_in()
        before = await customer.orders()
        await customer.loop(LEARNED)
        (shop.kill if way == "killed" else shop.freeze)("orders-1")
        await customer.loop(EACH)
        await asyncio.to_thread(shop.restart if way == "killed" else shop.thaw, "orders-1")
        await customer.loop(EACH)
        expected = LEARNED + 2 * EACH
        assert customer.statuses == {("GET", 200): expected, ("POST", 201): customer.placed}
        assert await customer.orders() == before + customer.placed
