"""Idempotency-Key, ETag, If-None-Match and If-Match of suppliers."""

import asyncio
from collections.abc import AsyncGenerator

import httpx2
import pytest

from limen_kit.testing import Signer, running
from shop_suppliers.database import config
from shop_suppliers.service import create_app
from shop_suppliers.settings import Settings

GATEWAY = Signer("suppliers")
OWNER, OTHER = GATEWAY.identity_headers(2), GATEWAY.identity_headers(3)
FORM = {"name": "Ada", "surname": "Lovelace", "address": "London"}
KEY = {"idempotency-key": "k-1"}


@pytest.fixture
async def client(database_url: str) -> AsyncGenerator[httpx2.AsyncClient]:
    app = create_app(Settings(database_url=database_url, identity_keys=GATEWAY.keys))
    async with running(app, config(database_url)) as http:
        yield http


@pytest.fixture
async def path(client: httpx2.AsyncClient) -> str:
    return (await client.post("/api/suppliers", json=FORM, headers=OWNER)).headers["location"]


async def test_requests_with_one_key_create_one_supplier(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/api/suppliers", json=FORM, headers=OWNER | KEY) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({(answer.text, answer.headers["location"], answer.headers["etag"]) for answer in answers}) == 1
    assert sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers) == 9
    assert (await client.get("/api/suppliers")).headers["x-total-count"] == "1"


async def test_a_repetition_gets_the_first_response_whatever_was_changed_since(client: httpx2.AsyncClient) -> None:
    first = await client.post("/api/suppliers", json=FORM, headers=OWNER | KEY)
    await client.put(first.headers["location"], json={"name": "Grace"}, headers=OWNER)
    again = await client.post("/api/suppliers", json=FORM, headers=OWNER | KEY)
    assert (again.status_code, again.text, again.headers["etag"]) == (201, first.text, '"1"')
    assert (await client.get(first.headers["location"])).json()["name"] == "Grace"


async def test_a_key_belongs_to_one_body_and_one_caller(client: httpx2.AsyncClient) -> None:
    await client.post("/api/suppliers", json=FORM, headers=OWNER | KEY)
    reused = await client.post("/api/suppliers", json=FORM | {"name": "Grace"}, headers=OWNER | KEY)
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")
    others = await client.post("/api/suppliers", json=FORM | {"name": "Grace"}, headers=OTHER | KEY)
    assert (others.status_code, others.json()["created_by"]) == (201, 3)


async def test_a_key_goes_with_its_supplier(client: httpx2.AsyncClient) -> None:
    first = await client.post("/api/suppliers", json=FORM, headers=OWNER | KEY)
    assert (await client.delete(first.headers["location"], headers=OWNER)).status_code == 204
    anew = await client.post("/api/suppliers", json=FORM, headers=OWNER | KEY)
    assert (anew.status_code, "idempotency-replayed" in anew.headers) == (201, False)
    assert anew.json()["id"] != first.json()["id"]


async def test_without_a_key_each_request_creates_one(client: httpx2.AsyncClient) -> None:
    for _ in range(2):
        assert (await client.post("/api/suppliers", json=FORM, headers=OWNER)).status_code == 201
    assert (await client.get("/api/suppliers")).headers["x-total-count"] == "2"


async def test_each_change_makes_another_etag(client: httpx2.AsyncClient, path: str) -> None:
    read = await client.get(path)
    changed = await client.put(path, json={"name": "Grace"}, headers=OWNER | {"if-match": read.headers["etag"]})
    assert (read.headers["etag"], changed.status_code, changed.headers["etag"]) == ('"1"', 200, '"2"')
    assert (await client.get(path, headers={"if-none-match": '"1"'})).status_code == 200
    had = await client.get(path, headers={"if-none-match": '"2"'})
    assert (had.status_code, had.content, had.headers["etag"]) == (304, b"", '"2"')
    nothing = await client.put(path, json={}, headers=OWNER)
    assert (nothing.status_code, nothing.headers["etag"]) == (200, '"2"')


async def test_of_two_editors_of_one_version_one_succeeds(client: httpx2.AsyncClient, path: str) -> None:
    async def edit(number: int) -> httpx2.Response:
        return await client.put(path, json={"name": f"editor {number}"}, headers=OWNER | {"if-match": '"1"'})

    answers = await asyncio.gather(*map(edit, range(8)))
    won = [answer for answer in answers if answer.status_code == 200]
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    assert (await client.get(path)).json() == won[0].json()


async def test_without_a_condition_changes_of_different_fields_all_stay(client: httpx2.AsyncClient, path: str) -> None:
    changes = ({"name": "Grace"}, {"surname": "Hopper"}, {"address": "Arlington"})
    answers = await asyncio.gather(*(client.put(path, json=change, headers=OWNER) for change in changes))
    assert {answer.status_code for answer in answers} == {200}
    now = await client.get(path)
    assert now.json() | {"name": "Grace", "surname": "Hopper", "address": "Arlington"} == now.json()
    assert now.headers["etag"] == '"4"'


@pytest.mark.parametrize(
    "condition",
    [{"if-match": '"2"'}, {"if-match": 'W/"1"'}, {"if-match": "1"}, {"if-none-match": "*"}, {"if-none-match": 'W/"1"'}],
)
async def test_a_condition_that_fails_changes_nothing(
    client: httpx2.AsyncClient, path: str, condition: dict[str, str]
) -> None:
    for method, body in (("PUT", {"name": "Grace"}), ("PUT", {}), ("DELETE", None)):
        refused = await client.request(method, path, json=body, headers=OWNER | condition)
        assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    now = await client.get(path)
    assert (now.json() | FORM, now.headers["etag"]) == (now.json(), '"1"')


@pytest.mark.parametrize("condition", [{}, {"if-match": '"1"'}, {"if-match": "*"}, {"if-none-match": '"2"'}])
async def test_a_condition_that_holds_lets_a_deletion_through(
    client: httpx2.AsyncClient, path: str, condition: dict[str, str]
) -> None:
    assert (await client.delete(path, headers=OWNER | condition)).status_code == 204
    assert (await client.get(path)).status_code == 404
    # RFC 9110 section 13.2.1: what is not there is 404, whatever the condition says.
    assert (await client.delete(path, headers=OWNER | {"if-match": "*"})).status_code == 404


async def test_a_condition_opens_nothing_that_is_somebody_elses(client: httpx2.AsyncClient, path: str) -> None:
    for condition in ('"1"', '"2"'):
        for method in ("PUT", "DELETE"):
            refused = await client.request(method, path, json={}, headers=OTHER | {"if-match": condition})
            assert refused.status_code == 403


async def test_a_list_may_have_several_lines_and_a_bounded_length(client: httpx2.AsyncClient, path: str) -> None:
    lines = [*OWNER.items(), ("if-match", '"7"'), ("if-match", '"1"')]
    assert (await client.put(path, json={"name": "Grace"}, headers=lines)).status_code == 200
    for headers in ([("if-match", '"' + "x" * 1000 + '"')], [("if-match", '"' + "x" * 600 + '"')] * 2):
        refused = await client.put(path, json={}, headers=[*OWNER.items(), *headers])
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
