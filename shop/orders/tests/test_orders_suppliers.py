"""The supplier of an order, looked up at a gateway on a socket that answers as a test says."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx2
import pytest
from fastapi import FastAPI

from limen_kit.problems import Problem
from limen_kit.testing import Signer, running
from shop_orders.database import config
from shop_orders.service import create_app
from shop_orders.settings import Settings
from shop_orders.suppliers import CONNECTIONS, Suppliers

GATEWAY = Signer("orders")
OWNER = GATEWAY.identity_headers(2)
FORM = {"address": "1 Main St", "item": "lamp", "supplier_id": 7}

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(status: int, content: bytes = b'{"id": 7}') -> Respond:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(content), content))
        await writer.drain()

    return respond


async def hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    return


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the other side gives up


class Gateway:
    """Answers with ``respond``; keeps the first lines of the requests, and counts those that are open at one time."""

    def __init__(self) -> None:
        self.respond = answering(200)
        self.asked: list[bytes] = []
        self.open = self.most_open = 0
        self.connections: set[asyncio.Task[None] | None] = set()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.current_task())
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
            await self.respond(reader, writer)
        finally:
            self.open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def running_gateway() -> AsyncGenerator[Gateway]:
    found = Gateway()
    async with await asyncio.start_server(found.serve, "127.0.0.1", 0) as listener:
        found.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield found
        await asyncio.gather(*filter(None, found.connections), return_exceptions=True)


@pytest.fixture
async def gateway() -> AsyncGenerator[Gateway]:
    async with running_gateway() as found:
        yield found


@pytest.fixture
async def client(database_url: str, gateway: Gateway) -> AsyncGenerator[httpx2.AsyncClient]:
    settings = Settings(database_url=database_url, identity_keys=GATEWAY.keys, gateway_url=f"{gateway.url}/")
    async with running(create_app(settings), config(database_url)) as http:
        yield http


async def orders(client: httpx2.AsyncClient) -> int:
    return int((await client.get("/api/orders", headers=OWNER)).headers["x-total-count"])


async def test_an_order_of_a_supplier_that_exists_is_placed(client: httpx2.AsyncClient, gateway: Gateway) -> None:
    placed = await client.post("/api/orders", json=FORM, headers=OWNER)
    assert (placed.status_code, placed.json()["supplier_id"]) == (201, 7)
    assert gateway.asked == [b"GET /api/suppliers/7 HTTP/1.1"]
    assert (await client.get(placed.headers["location"], headers=OWNER)).json() == placed.json()


async def test_an_order_without_a_supplier_asks_nobody(client: httpx2.AsyncClient, gateway: Gateway) -> None:
    for supplier in ({}, {"supplier_id": None}):
        placed = await client.post(
            "/api/orders", json={"address": "1 Main St", "item": "lamp"} | supplier, headers=OWNER
        )
        assert (placed.status_code, placed.json()["supplier_id"]) == (201, None)
    assert gateway.asked == []


async def test_a_supplier_that_is_unknown_makes_no_order(client: httpx2.AsyncClient, gateway: Gateway) -> None:
    gateway.respond = answering(404)
    refused = await client.post("/api/orders", json=FORM, headers=OWNER)
    assert (refused.status_code, refused.json()["code"]) == (422, "supplier_unknown")
    assert await orders(client) == 0


@pytest.mark.parametrize(
    "respond",
    [
        answering(503),
        answering(429),
        answering(301),
        answering(200, b"<html>"),
        answering(200, b"[]"),
        answering(200, b'{"id": 8}'),
        answering(200, b" " * 300_000),
        hanging_up,
    ],
)
async def test_what_cannot_be_known_makes_no_order(
    client: httpx2.AsyncClient, gateway: Gateway, respond: Respond
) -> None:
    gateway.respond = respond
    refused = await client.post("/api/orders", json=FORM, headers=OWNER)
    assert (refused.status_code, refused.json()["code"]) == (503, "suppliers_unavailable")
    assert refused.headers["retry-after"] == "2"
    assert await orders(client) == 0


async def test_the_same_request_succeeds_once_the_supplier_can_be_looked_up(
    client: httpx2.AsyncClient, gateway: Gateway
) -> None:
    headers = OWNER | {"idempotency-key": "k"}
    gateway.respond = answering(503)
    assert (await client.post("/api/orders", json=FORM, headers=headers)).status_code == 503
    gateway.respond = answering(200)
    first = await client.post("/api/orders", json=FORM, headers=headers)
    gateway.respond = answering(404)  # a repetition does not ask again: the supplier may be gone by now
    again = await client.post("/api/orders", json=FORM, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert await orders(client) == 1


async def test_without_the_gateways_address_no_supplier_can_be_looked_up(database_url: str) -> None:
    settings = Settings(database_url=database_url, identity_keys=GATEWAY.keys)
    async with running(create_app(settings), config(database_url)) as client:
        assert (await client.post("/api/orders", json=FORM, headers=OWNER)).status_code == 503
        assert (await client.post("/api/orders", json=FORM | {"supplier_id": None}, headers=OWNER)).status_code == 201


async def test_a_look_up_has_a_deadline_with_the_wait_for_a_connection(gateway: Gateway) -> None:
    gateway.respond = silent
    suppliers = Suppliers(gateway.url, deadline=0.3)
    async with suppliers.running(FastAPI()):
        found = await asyncio.gather(*(suppliers.require(7) for _ in range(3 * CONNECTIONS)), return_exceptions=True)
    assert [problem.status for problem in found if isinstance(problem, Problem)] == [503] * 3 * CONNECTIONS


async def test_many_look_ups_have_few_connections(gateway: Gateway) -> None:
    full = asyncio.Event()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if gateway.open == CONNECTIONS:
            full.set()
        await full.wait()
        await answering(200)(reader, writer)

    gateway.respond = respond
    suppliers = Suppliers(gateway.url, deadline=20)
    async with suppliers.running(FastAPI()):
        await asyncio.gather(*(suppliers.require(7) for _ in range(3 * CONNECTIONS)))
    assert (len(gateway.asked), gateway.most_open) == (3 * CONNECTIONS, CONNECTIONS)


@pytest.mark.parametrize("number", [0, -1, 2_147_483_648, "x", 1.5, []])
async def test_what_is_no_id_is_refused(client: httpx2.AsyncClient, gateway: Gateway, number: object) -> None:
    refused = await client.post("/api/orders", json=FORM | {"supplier_id": number}, headers=OWNER)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request"), refused.text
    assert gateway.asked == []


@pytest.mark.parametrize(
    "url", ["gateway:8000", "http://", "ftp://gateway", "http://secret@gateway", "http://gateway/?a"]
)
def test_an_address_that_can_never_be_asked_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="GATEWAY_URL") as refused:
        Settings(gateway_url=url)
    assert "secret" not in str(refused.value)
