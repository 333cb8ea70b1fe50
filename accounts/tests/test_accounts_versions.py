"""The version of an account: its ETag, and that of two who change the same one, only one does."""

import asyncio

import httpx2
import pytest
from fastapi import FastAPI

from limen_accounts.accounts import Changes, NewAccount, VersionChanged
from limen_accounts.stores import Stores

ADMIN = {"request-user-id": "1", "request-user-role": "admin"}
FORM = {"username": "ada", "password": "correct horse", "user_type": "default"}


@pytest.fixture
def client(running_service: tuple[FastAPI, httpx2.AsyncClient]) -> httpx2.AsyncClient:
    found = running_service[1]
    found.headers.update(ADMIN)
    return found


async def test_each_change_makes_another_tag(client: httpx2.AsyncClient) -> None:
    created = await client.post("/api/users", json=FORM)
    path = created.headers["location"]
    tags = [created.headers["etag"], (await client.get(path)).headers["etag"]]
    for name in ("Ada L", "Ada Lovelace"):
        changed = await client.put(path, json={"full_name": name})
        tags += [changed.headers["etag"], (await client.get(path)).headers["etag"]]
    assert tags == ['"1"', '"1"', '"2"', '"2"', '"3"', '"3"']
    assert (await client.put(path, json={})).headers["etag"] == '"3"'


async def test_a_read_of_what_the_client_has_is_not_modified(client: httpx2.AsyncClient) -> None:
    again = await client.get("/api/users/2", headers={"if-none-match": 'W/"1"'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", '"1"')
    assert (await client.get("/api/users/2", headers={"if-none-match": '"2"'})).status_code == 200
    assert (await client.get("/api/users/2", headers={"if-match": '"2"'})).status_code == 412


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"if-match": '"1"'}, 200),
        ({"if-match": '"7", "1"'}, 200),
        ({"if-match": "*"}, 200),
        ({}, 200),
        ({"if-match": '"2"'}, 412),
        ({"if-match": 'W/"1"'}, 412),
        ({"if-match": "nonsense"}, 412),
        ({"if-match": ""}, 412),
        ({"if-none-match": '"1"'}, 412),
        ({"if-none-match": "*"}, 412),
    ],
)
async def test_a_change_is_done_on_its_condition(
    client: httpx2.AsyncClient, condition: dict[str, str], status: int
) -> None:
    response = await client.put("/api/users/2", json={"full_name": "John"}, headers=condition)
    assert response.status_code == status, response.text
    found = (await client.get("/api/users/2")).json()
    assert found["full_name"] == ("John" if status == 200 else None)
    if status == 412:
        assert response.json()["code"] == "precondition_failed"


@pytest.mark.parametrize(
    ("condition", "status"),
    [({"if-match": '"2"'}, 204), ({}, 204), ({"if-match": '"1"'}, 412), ({"if-none-match": '"2"'}, 412)],
)
async def test_a_deletion_is_done_on_its_condition(
    client: httpx2.AsyncClient, condition: dict[str, str], status: int
) -> None:
    await client.put("/api/users/3", json={"full_name": "Test"})
    deleted = await client.delete("/api/users/3", headers=condition)
    assert (deleted.status_code, "etag" in deleted.headers) == (status, False), deleted.text
    assert (await client.get("/api/users/3")).status_code == (404 if status == 204 else 200)
    assert (await client.delete("/api/users/900", headers=condition)).status_code == 404


async def test_a_change_and_a_deletion_of_one_version_do_not_both_happen(client: httpx2.AsyncClient) -> None:
    condition = {"if-match": '"1"'}
    changed, deleted = await asyncio.gather(
        client.put("/api/users/3", json={"full_name": "Test"}, headers=condition),
        client.delete("/api/users/3", headers=condition),
    )
    assert (changed.status_code, deleted.status_code) in {(200, 412), (404, 204)}


async def test_of_many_who_change_one_version_one_does(client: httpx2.AsyncClient) -> None:
    async def change(number: int) -> int:
        body = {"full_name": f"John {number}"}
        return (await client.put("/api/users/2", json=body, headers={"if-match": '"1"'})).status_code

    assert sorted(await asyncio.gather(*map(change, range(8)))) == [200] + [412] * 7


async def test_without_a_condition_nobody_is_refused_and_no_field_is_lost(client: httpx2.AsyncClient) -> None:
    bodies = [{"full_name": "John"}, {"email": "john@example.com"}, {"username": "john"}, {"user_type": "admin"}]
    answers = await asyncio.gather(*(client.put("/api/users/2", json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [200] * 4
    found = await client.get("/api/users/2")
    assert found.headers["etag"] == '"5"'
    assert all(found.json()[name] == value for body in bodies for name, value in body.items())


async def test_a_store_changes_only_the_version_that_is_named(stores: Stores) -> None:
    new = NewAccount(username="ada", hashed_password="h", user_type="default", created_by=1)
    assert (await stores.accounts.create_account(new)).version == 1
    found = await stores.accounts.update_account(1, {"full_name": "Ada"}, 1)
    assert found is not None
    changed, _ = found
    assert (changed.version, changed.full_name) == (2, "Ada")
    stale: list[Changes] = [{"full_name": "Eve"}, {}]
    for changes in stale:
        with pytest.raises(VersionChanged):
            await stores.accounts.update_account(1, changes, 1)
    assert await stores.accounts.get_account(1) == changed
    with pytest.raises(VersionChanged):
        await stores.accounts.delete_account(1, 1)
    assert await stores.accounts.get_account(1) == changed
    assert await stores.accounts.update_account(9, {"full_name": "Eve"}, 1) is None
    assert await stores.accounts.delete_account(9, 1) is None
    # A new hash is no change of what is shown.
    assert await stores.accounts.replace_hash(1, "h", "i")
    found = await stores.accounts.get_account(1)
    assert found is not None
    assert found.version == 2
