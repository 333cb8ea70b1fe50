"""One suite for every store of API keys: Tortoise on SQLite and PostgreSQL, and the JSON file."""

import asyncio
import hmac
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from limen_accounts import api_keys
from limen_accounts.accounts import AccountMissing, NewAccount
from limen_accounts.api_keys import (
    MAX_KEY_LIFETIME,
    MAX_KEYS,
    ApiKeyStore,
    CreatedKey,
    NewKey,
    SessionMissing,
    TooManyKeys,
)
from limen_accounts.json_store import JsonStore
from limen_accounts.stores import Stores, open_stores
from limen_accounts.testing import FakeClock, begin
from limen_accounts.tortoise_stores.models import ApiKeyRow

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def key_store(store_url: str, clock: FakeClock) -> ApiKeyStore:
    """A store of API keys, with the accounts 1 and 2."""
    for name in ("ada", "bob"):
        await open_stores(store_url).accounts.create_account(
            NewAccount(username=name, hashed_password="h", user_type="default", created_by=1)
        )
    return open_stores(store_url, now=clock).api_keys


async def create(
    key_store: ApiKeyStore, owner: int = 1, *scopes: str, lifetime: timedelta = MAX_KEY_LIFETIME
) -> CreatedKey:
    return await key_store.create_key(NewKey(owner=owner, name="ci", scopes=scopes, lifetime=lifetime))


async def test_a_key_is_made_and_found_and_revoked(key_store: ApiKeyStore, clock: FakeClock) -> None:
    created = await create(key_store, 1, "orders:read", "orders:write", lifetime=timedelta(days=1))
    key = created.key
    assert re.fullmatch(r"key_1_[A-Za-z0-9_-]{43}", created.text)
    assert (key.id, key.owner, key.name, key.scopes) == (1, 1, "ci", ("orders:read", "orders:write"))
    assert (key.created_at, key.expires_at, key.last_used_at) == (clock.now, clock.now + timedelta(days=1), None)
    assert await key_store.list_keys(1) == [key]
    assert await key_store.list_keys(2) == []
    assert await key_store.introspect_key(created.text) == key
    other = await create(key_store, 2)
    assert (other.key.scopes, other.key.expires_at) == ((), clock.now + MAX_KEY_LIFETIME)
    assert not await key_store.revoke_key(2, 1)
    assert not await key_store.revoke_key(1, 99)
    assert await key_store.revoke_key(1, 1)
    assert not await key_store.revoke_key(1, 1)
    assert await key_store.introspect_key(created.text) is None
    assert (await create(key_store)).key.id == 3


async def test_a_key_expires(key_store: ApiKeyStore, clock: FakeClock) -> None:
    created = await create(key_store, lifetime=MINUTE)
    clock.now += MINUTE - timedelta(microseconds=1)
    assert await key_store.introspect_key(created.text)
    clock.now += timedelta(microseconds=1)
    assert await key_store.introspect_key(created.text) is None
    # It stays listed until another key is created.
    assert [key.id for key in await key_store.list_keys(1)] == [1]
    await create(key_store)
    assert [key.id for key in await key_store.list_keys(1)] == [2]


WRONG: list[Callable[[str], str]] = [
    lambda text: "",
    lambda text: "key_",
    lambda text: "key_1_",
    lambda text: text[:-1],
    lambda text: text + "a",
    lambda text: text + "\n",
    lambda text: text[:-1] + ("a" if text[-1] != "a" else "b"),
    lambda text: text.replace("key_1_", "key_2_"),
    lambda text: text.replace("key_1_", "key_01_"),
    lambda text: text.replace("key_1_", "key_0_"),
    lambda text: text.replace("key_1_", "key_9999999999_"),
    lambda text: text.replace("key_1_", "key_99999999999999999999_"),
    lambda text: text.replace("key_1_", "key_-1_"),
    lambda text: text.replace("key_1_", "key_\u0661_"),
    lambda text: text.upper(),
    lambda text: text.replace("key_1_", "refresh_1_"),
    lambda text: "key_1_" + "é" * 43,
    lambda text: "key_1_" + "\ud800" * 43,
    lambda text: "key_1_' OR 1=1 --",
]


async def test_every_invalid_text_costs_the_same(key_store: ApiKeyStore, store_url: str) -> None:
    text = (await create(key_store)).text
    reads = 0
    compared_lengths: list[tuple[int, int]] = []

    def counting(method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        def call(*arguments: object, **named: object) -> Awaitable[object]:
            nonlocal reads
            reads += 1
            return method(*arguments, **named)

        return call

    def compare(a: str, b: str) -> bool:
        compared_lengths.append((len(a), len(b)))
        return hmac.compare_digest(a, b)

    target: object = vars(key_store)["_file"] if store_url.startswith("json") else ApiKeyRow
    name = "read" if store_url.startswith("json") else "get_or_none"
    with patch.object(target, name, counting(getattr(target, name))), patch.object(api_keys, "compare_digest", compare):
        for corrupt in WRONG:
            assert await key_store.introspect_key(corrupt(text)) is None, corrupt(text)
        assert reads == len(WRONG)
        assert compared_lengths == [(64, 64)] * len(WRONG)
        assert await key_store.introspect_key(text)


async def test_the_last_use_is_recorded_once_a_minute(key_store: ApiKeyStore, clock: FakeClock) -> None:
    created = await create(key_store)
    first = clock.now
    for seconds_passed, recorded in ((0, 0), (59, 0), (60, 60), (119, 60), (120, 120)):
        clock.now = first + timedelta(seconds=seconds_passed)
        assert await key_store.introspect_key(created.text)
        assert (await key_store.list_keys(1))[0].last_used_at == first + timedelta(seconds=recorded)
    for corrupt in WRONG:
        clock.now += MINUTE
        assert await key_store.introspect_key(corrupt(created.text)) is None
    assert (await key_store.list_keys(1))[0].last_used_at == first + timedelta(seconds=120)


async def test_deleting_an_account_deletes_its_keys_and_changing_its_password_does_not(
    key_store: ApiKeyStore, store_url: str
) -> None:
    own, theirs = await create(key_store), await create(key_store, 2)
    accounts = open_stores(store_url).accounts
    assert await accounts.change_password(1, "h", "another") == []
    assert await key_store.introspect_key(own.text)
    assert await accounts.delete_account(1) == []
    assert await key_store.introspect_key(own.text) is None
    assert await key_store.list_keys(1) == []
    assert await key_store.introspect_key(theirs.text)
    for owner in (1, 99):
        with pytest.raises(AccountMissing):
            await create(key_store, owner)


async def test_the_keys_of_a_user_are_limited(key_store: ApiKeyStore, clock: FakeClock) -> None:
    async def attempt() -> bool:
        try:
            await create(key_store, lifetime=MINUTE)
        except TooManyKeys:
            return False
        return True

    outcomes = await asyncio.gather(*(attempt() for _ in range(MAX_KEYS + 3)))
    assert sum(outcomes) == MAX_KEYS
    assert len(await key_store.list_keys(1)) == MAX_KEYS
    await create(key_store, 2)
    # Expired keys are deleted.
    clock.now += MINUTE
    await create(key_store)
    assert len(await key_store.list_keys(1)) == 1


async def test_no_part_of_a_key_is_stored_but_its_id(key_store: ApiKeyStore, store_url: str, tmp_path: Path) -> None:
    created = await create(key_store)
    assert created.text not in repr(created)
    if store_url.startswith("postgres"):
        (row,) = await ApiKeyRow.all().values()
        stored = repr(row).encode()
    else:
        stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"ci" in stored
    assert created.text.removeprefix("key_1_").encode() not in stored


async def test_a_json_file_that_would_use_a_key_id_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    await JsonStore(path).create_account(
        NewAccount(username="ada", hashed_password="h", user_type="default", created_by=1)
    )
    await create(open_stores(f"json:{path}").api_keys)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"next_key_id": 1}))
    with pytest.raises(ValueError, match="next_key_id: it has to be above every id in use"):
        await JsonStore(path).ready()


async def test_a_key_of_a_user_who_is_taken_out_of_the_file_by_hand_is_not_active(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    store = JsonStore(path)
    await store.create_account(NewAccount(username="ada", hashed_password="h", user_type="default", created_by=1))
    text = (await create(store)).text
    assert await store.introspect_key(text) is not None
    path.write_text(json.dumps(json.loads(path.read_text()) | {"users": []}))
    assert await store.introspect_key(text) is None


async def test_a_json_file_from_before_there_were_sessions_is_read(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    accounts = JsonStore(path)
    outcomes = await accounts.create_account(
        NewAccount(username="ada", hashed_password="h", user_type="default", created_by=1)
    )
    document = json.loads(path.read_text())
    path.write_text(json.dumps({"next_id": document["next_id"], "users": document["users"]}))
    assert await accounts.get_account(1) == outcomes
    assert (await create(open_stores(f"json:{path}").api_keys)).key.id == 1


async def test_keys_of_a_locked_account_are_not_valid_and_none_is_made(key_store: ApiKeyStore, stores: Stores) -> None:
    mine, theirs = await create(key_store), await create(key_store, 2)
    await stores.accounts.lock_account(1)
    assert await key_store.introspect_key(mine.text) is None
    assert await key_store.introspect_key(theirs.text)
    with pytest.raises(AccountMissing):
        await create(key_store)
    await stores.accounts.unlock_account(1)
    assert await key_store.introspect_key(mine.text)


async def test_all_keys_of_an_owner_end_at_once(key_store: ApiKeyStore, clock: FakeClock) -> None:
    await create(key_store, lifetime=MINUTE)
    clock.now += MINUTE
    other = (await create(key_store, 2)).text
    await key_store.create_key(NewKey(owner=1, name="ci", scopes=()))
    await create(key_store)
    assert [await key_store.revoke_keys(number) for number in (1, 1, 99)] == [2, 0, 0]
    assert await key_store.list_keys(1) == []
    assert await key_store.introspect_key(other)


async def test_no_key_outlives_the_longest_life_also_if_it_was_made_without_an_end(
    key_store: ApiKeyStore, store_url: str, clock: FakeClock, tmp_path: Path
) -> None:
    text = (await create(key_store)).text
    if store_url.startswith("json:"):
        content = json.loads((path := tmp_path / "users.json").read_text())
        content["api_keys"][0]["expires_at"] = None
        path.write_text(json.dumps(content))
    else:
        await ApiKeyRow.all().update(expires_at=None)
    strict = open_stores(store_url, max_key_lifetime=timedelta(days=30), now=clock).api_keys
    for store, longest in ((key_store, MAX_KEY_LIFETIME), (strict, timedelta(days=30))):
        assert [key.expires_at for key in await store.list_keys(1)] == [clock.now + longest]
    clock.now += timedelta(days=30)
    assert await key_store.introspect_key(text)
    assert await strict.introspect_key(text) is None
    # Where a key may last for 30 days, an older one is expired: the next creation removes it.
    await create(strict, lifetime=timedelta(days=30))
    assert [key.id for key in await strict.list_keys(1)] == [2]


async def test_no_key_is_made_in_a_session_that_is_over(key_store: ApiKeyStore, stores: Stores) -> None:
    session = await begin(stores.sessions)
    new = NewKey(owner=1, name="ci", scopes=(), session_id=session.session_id)
    await key_store.create_key(new)
    with pytest.raises(SessionMissing):  # it is another user's
        await key_store.create_key(replace(new, owner=2))
    await stores.accounts.change_password(1, "h", "another")
    with pytest.raises(SessionMissing):
        await key_store.create_key(new)
