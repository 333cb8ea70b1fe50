"""Two processes of the orders service on one SQLite file: both write, and each sees what the other has written."""

import asyncio
from collections import Counter

import httpx2

from shop_processes import Shop


async def test_both_write_to_one_database(shop_with_two_orders: Shop) -> None:
    shop = shop_with_two_orders
    headers = shop.identity_headers("orders", subject=7, role="default")
    targets = shop.targets["orders"]
    assert targets == ["orders-1", "orders-2"]
    assert len({shop.pid(name) for name in targets}) == 2

    async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:

        async def place(number: int, key: str) -> httpx2.Response:
            name = targets[number % 2]
            form = {"address": "12 St James Square", "item": f"item {number // 2}"}
            return await client.post(
                f"{shop.url(name)}/api/orders", json=form, headers=headers | {"idempotency-key": key}
            )

        # Each order is placed at both at once, with one key: one of them places it, and the other says so.
        placed = await asyncio.gather(*(place(number, f"order-{number // 2}") for number in range(100)))
        assert {response.status_code for response in placed} == {201}, [response.text for response in placed]
        assert Counter("idempotency-replayed" in response.headers for response in placed) == {True: 50, False: 50}
        listed = [
            await client.get(f"{shop.url(name)}/api/orders", params={"limit": 100}, headers=headers) for name in targets
        ]
        assert [len(response.json()) for response in listed] == [50, 50]
        assert listed[0].json() == listed[1].json()
    for name in targets:
        assert "locked" not in shop.log(name)
