"""ETag, If-None-Match and If-Match of orders."""

import asyncio
from collections.abc import AsyncGenerator

import httpx2
import pytest

from limen_kit.testing import Signer, running
from shop_orders.database import config
from shop_orders.service import create_app
from shop_orders.settings import Settings

GATEWAY = Signer("orders")
OWNER, OTHER = GATEWAY.identity_headers(2), GATEWAY.identity_headers(3)
FORM = {"address": "1 Main St", "item": "lamp"}


@pytest.fixture
async def client(database_url: str) -> AsyncGenerator[httpx2.AsyncClient]:
    async with running(
        create_app(Settings(database_url=database_url, identity_keys=GATEWAY.keys)), config(database_url)
    ) as http:
        yield http


async def test_each_version_has_an_etag(client: httpx2.AsyncClient) -> None:
    key = {"idempotency-key": "k"}
    placed = await client.post("/api/orders", json=FORM, headers=OWNER | key)
    path = placed.headers["location"]
    read = await client.get(path, headers=OWNER)
    cancelled = await client.post(f"{path}/cancel", headers=OWNER)
    after = await client.get(path, headers=OWNER)
    assert placed.headers["etag"] == read.headers["etag"] == '"1"'
    assert cancelled.headers["etag"] == after.headers["etag"] == '"2"'
    # A repetition gets the first response again, and its tag is that of the first version.
    assert (await client.post("/api/orders", json=FORM, headers=OWNER | key)).headers["etag"] == '"1"'


async def test_who_has_the_version_gets_no_content(client: httpx2.AsyncClient) -> None:
    path = (await client.post("/api/orders", json=FORM, headers=OWNER)).headers["location"]
    for method in ("GET", "HEAD"):
        had = await client.request(method, path, headers=OWNER | {"if-none-match": '"7", W/"1"'})
        assert (had.status_code, had.content, had.headers["etag"]) == (304, b"", '"1"')
        assert "content-length" not in had.headers
    assert (await client.get(path, headers=OWNER | {"if-none-match": '"2"'})).status_code == 200
    # A condition tells nobody whether there is an order that is not theirs.
    assert (await client.get(path, headers=OTHER | {"if-none-match": "*"})).status_code == 404


@pytest.mark.parametrize("tag", ['W/"1"', '"2"', '"01"', "1", "", '"x"', '"2147483648"', '"99999999999999999999"'])
async def test_a_cancellation_of_another_version_is_refused(client: httpx2.AsyncClient, tag: str) -> None:
    path = (await client.post("/api/orders", json=FORM, headers=OWNER)).headers["location"]
    refused = await client.post(f"{path}/cancel", headers=OWNER | {"if-match": tag})
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert (await client.get(path, headers=OWNER)).json()["status"] == "placed"


@pytest.mark.parametrize("tag", [None, "*", '"1"', '"9", "1"', ',"1" ,'])
async def test_a_cancellation_of_this_version_is_done(client: httpx2.AsyncClient, tag: str | None) -> None:
    path = (await client.post("/api/orders", json=FORM, headers=OWNER)).headers["location"]
    condition = {} if tag is None else {"if-match": tag}
    assert (await client.post(f"{path}/cancel", headers=OWNER | condition)).status_code == 200
    # RFC 9110 section 13.2.1: without the condition it would be refused too, so the condition does not count.
    again = await client.post(f"{path}/cancel", headers=OWNER | {"if-match": '"1"'})
    assert (again.status_code, again.json()["code"]) == (409, "already_cancelled")


async def test_of_many_cancellations_of_one_version_one_succeeds(client: httpx2.AsyncClient) -> None:
    path = (await client.post("/api/orders", json=FORM, headers=OWNER)).headers["location"]
    condition = OWNER | {"if-match": '"1"'}
    answers = await asyncio.gather(*(client.post(f"{path}/cancel", headers=condition) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
