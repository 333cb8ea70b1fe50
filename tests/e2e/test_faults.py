"""Services that stop and come back, many clients at once, and crashes; this module kills processes, so it starts its own."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx2
import pytest

from limen.auth import issue
from serving import until
from shop_processes import AUTH, SECRET, Shop

ADMIN = {"authorization": f"Bearer {issue(AUTH, 1, 'admin')}"}
SUPPLIER = {"name": "Ada", "surname": "Lovelace", "address": "London"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    """Four processes that may be killed; a call may take 5 seconds, then it has timed out."""
    with Shop(tmp_path_factory.mktemp("shop"), GATEWAY_TIMEOUT="5") as running:
        yield running


@pytest.fixture
async def client(shop: Shop) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=shop.url(), timeout=30, trust_env=False) as http:
        yield http


async def test_a_service_that_is_down_is_503_and_the_others_keep_working(
    shop: Shop, client: httpx2.AsyncClient
) -> None:
    assert (await client.get("/api/suppliers")).status_code == 200
    shop.kill("suppliers")
    for _ in range(3):
        response = await client.get("/api/suppliers")
        assert (response.status_code, response.json()["detail"]) == (503, "Service is unavailable.")
        assert response.headers["content-type"] == "application/problem+json"
        assert (await client.get("/api/users", headers=ADMIN)).status_code == 200
    await asyncio.to_thread(shop.restart, "suppliers")
    assert (await client.get("/api/suppliers")).status_code == 200


async def test_a_service_that_hangs_is_504_and_recovers(shop: Shop, client: httpx2.AsyncClient) -> None:
    shop.processes["orders"].send_signal(signal.SIGSTOP)
    try:
        slow, quick = await asyncio.gather(
            client.get("/api/orders", headers=ADMIN), client.get("/api/users", headers=ADMIN)
        )
        assert (slow.status_code, slow.json()["code"]) == (504, "answer_timeout")
        assert quick.status_code == 200
    finally:
        shop.processes["orders"].send_signal(signal.SIGCONT)
    assert (await client.get("/api/orders", headers=ADMIN)).status_code == 200


async def test_two_hundred_clients_at_once_see_their_own_answers_only(shop: Shop) -> None:
    limits = httpx2.Limits(max_connections=200)
    async with httpx2.AsyncClient(base_url=shop.url(), timeout=90, trust_env=False, limits=limits) as client:

        async def place_order(number: int) -> None:
            headers = {"authorization": f"Bearer {issue(AUTH, 10_000 + number, 'default')}"}
            form = {"address": f"{number} Main St {'x' * (number % 50)}|", "item": f"item {number}"}
            placed = await client.post("/api/orders", json=form, headers=headers)
            while placed.status_code == 503:
                # On a busy machine the pool may be exhausted: then the request was not forwarded, and is sent again.
                assert placed.json()["code"] == "pool_exhausted", placed.text
                placed = await client.post("/api/orders", json=form, headers=headers)
            assert placed.status_code == 201, placed.text
            assert placed.json() | form | {"created_by": 10_000 + number} == placed.json()
            listed = await client.get("/api/orders", headers=headers)
            assert listed.json() == [placed.json()]

        await asyncio.gather(*(place_order(number) for number in range(200)))


@pytest.mark.parametrize("name", ["users", "orders", "suppliers"])
async def test_kill_9_loses_no_acknowledged_write(shop: Shop, client: httpx2.AsyncClient, name: str) -> None:
    def form(number: int) -> tuple[str, dict[str, Any]]:
        forms: dict[str, dict[str, Any]] = {
            "users": {"username": f"u{number}", "password": "long enough", "user_type": "default"},
            "orders": {"address": "x", "item": f"o{number}"},
            "suppliers": SUPPLIER | {"name": f"s{number}"},
        }
        return f"/api/{name}", forms[name]

    acknowledged: list[str] = []
    service_killed = asyncio.Event()

    async def write(worker: int) -> None:
        for turn in range(10_000):
            path, body = form(worker * 10_000 + turn)
            response = await client.post(path, json=body, headers=ADMIN)
            if response.status_code == 201:
                acknowledged.append(response.headers["location"])
                continue
            assert response.status_code in (502, 503, 504), response.text
            if service_killed.is_set():  # before, a busy machine may refuse some requests
                return

    writers = [asyncio.create_task(write(worker)) for worker in range(1, 5)]
    await until(lambda: len(acknowledged) >= 20 or all(writer.done() for writer in writers))
    shop.kill(name)
    service_killed.set()
    await asyncio.gather(*writers)
    await asyncio.to_thread(shop.restart, name)
    assert len(acknowledged) == len(set(acknowledged)) >= 20
    for location in acknowledged:
        assert (await client.get(location, headers=ADMIN)).status_code == 200, location


async def test_a_gateway_that_is_killed_and_started_again_serves(shop: Shop, client: httpx2.AsyncClient) -> None:
    shop.kill("gateway")
    await asyncio.to_thread(shop.restart, "gateway")
    assert (await client.get("/api/users", headers=ADMIN)).status_code == 200


async def test_logs_name_requests_and_hold_no_secrets(shop: Shop, client: httpx2.AsyncClient) -> None:
    await client.post(
        "/api/login", json={"username": "admin", "password": "hunter2-hunter2"}, headers={"x-request-id": "find-me-1"}
    )
    # A service logs a request after it has sent the response.
    await until(lambda: all("request_id=find-me-1" in shop.log(name) for name in ("gateway", "users")))
    for name in shop.ports:
        log = shop.log(name)
        for secret in (SECRET, ADMIN["authorization"], "hunter2", "argon2id$"):
            assert secret not in log, (name, secret)
    assert os.environ.get("SECRET_KEY") is None or os.environ["SECRET_KEY"] not in shop.log("gateway")
