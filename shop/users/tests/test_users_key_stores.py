"""One suite for every store of API keys: Tortoise on SQLite and PostgreSQL, and the JSON file."""

import asyncio
import hmac
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from kept_sessions import Hand
from shop_users import api_keys
from shop_users.accounts import NewAccount
from shop_users.api_keys import MAX_KEYS, Created, Keys, NewKey, TooMany
from shop_users.database import keys, store
from shop_users.json_store import JsonStore
from shop_users.models import ApiKeyRow
from shop_users.sessions import Gone

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def kept(kept_at: str, clock: Hand) -> Keys:
    """API keys, on a store with the accounts 1 and 2."""
    for name in ("ada", "bob"):
        await store(kept_at).create(NewAccount(username=name, hashed_password="h", user_type="default", created_by=1))
    return keys(kept_at, clock)


async def create(kept: Keys, owner: int = 1, *scopes: str, lifetime: timedelta | None = None) -> Created:
    return await kept.create(NewKey(owner=owner, name="ci", scopes=scopes, lifetime=lifetime))


async def test_a_key_is_made_and_found_and_revoked(kept: Keys, clock: Hand) -> None:
    created = await create(kept, 1, "orders:read", "orders:write", lifetime=timedelta(days=1))
    key = created.key
    assert re.fullmatch(r"key_1_[A-Za-z0-9_-]{43}", created.text)
    assert (key.id, key.owner, key.name, key.scopes) == (1, 1, "ci", ("orders:read", "orders:write"))
    assert (key.created_at, key.expires_at, key.last_used_at) == (clock.now, clock.now + timedelta(days=1), None)
    assert await kept.of(1) == [key]
    assert await kept.of(2) == []
    assert await kept.introspect(created.text) == key
    other = await create(kept, 2)
    assert (other.key.scopes, other.key.expires_at) == ((), None)
    assert not await kept.revoke(2, 1)
    assert not await kept.revoke(1, 99)
    assert await kept.revoke(1, 1)
    assert not await kept.revoke(1, 1)
    assert await kept.introspect(created.text) is None
    assert (await create(kept)).key.id == 3


async def test_a_key_ends_in_time(kept: Keys, clock: Hand) -> None:
    created = await create(kept, lifetime=MINUTE)
    clock.now += MINUTE - timedelta(microseconds=1)
    assert await kept.introspect(created.text)
    clock.now += timedelta(microseconds=1)
    assert await kept.introspect(created.text) is None
    # It stays to be seen, until there is another.
    assert [key.id for key in await kept.of(1)] == [1]
    await create(kept)
    assert [key.id for key in await kept.of(1)] == [2]


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


async def test_every_other_text_is_no_key_and_costs_the_same(kept: Keys, kept_at: str) -> None:
    text = (await create(kept)).text
    looks = 0
    compared: list[tuple[int, int]] = []

    def counting(method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        def call(*arguments: object, **named: object) -> Awaitable[object]:
            nonlocal looks
            looks += 1
            return method(*arguments, **named)

        return call

    def compare(a: str, b: str) -> bool:
        compared.append((len(a), len(b)))
        return hmac.compare_digest(a, b)

    target: object = vars(kept)["_file"] if kept_at.startswith("json") else ApiKeyRow
    name = "read" if kept_at.startswith("json") else "get_or_none"
    with patch.object(target, name, counting(getattr(target, name))), patch.object(api_keys, "compare_digest", compare):
        for spoilt in WRONG:
            assert await kept.introspect(spoilt(text)) is None, spoilt(text)
        assert looks == len(WRONG)
        assert compared == [(64, 64)] * len(WRONG)
        assert await kept.introspect(text)


async def test_the_last_use_is_noted_once_a_minute(kept: Keys, clock: Hand) -> None:
    created = await create(kept)
    first = clock.now
    for passed, noted in ((0, 0), (59, 0), (60, 60), (119, 60), (120, 120)):
        clock.now = first + timedelta(seconds=passed)
        assert await kept.introspect(created.text)
        assert (await kept.of(1))[0].last_used_at == first + timedelta(seconds=noted)
    for spoilt in WRONG:
        clock.now += MINUTE
        assert await kept.introspect(spoilt(created.text)) is None
    assert (await kept.of(1))[0].last_used_at == first + timedelta(seconds=120)


async def test_keys_go_with_their_account_and_not_with_its_password(kept: Keys, kept_at: str) -> None:
    mine, theirs = await create(kept), await create(kept, 2)
    accounts = store(kept_at)
    assert await accounts.change_password(1, "h", "another") == []
    assert await kept.introspect(mine.text)
    assert await accounts.delete(1) == []
    assert await kept.introspect(mine.text) is None
    assert await kept.of(1) == []
    assert await kept.introspect(theirs.text)
    for owner in (1, 99):
        with pytest.raises(Gone):
            await create(kept, owner)


async def test_a_user_has_so_many_keys(kept: Keys, clock: Hand) -> None:
    async def attempt() -> bool:
        try:
            await create(kept, lifetime=MINUTE)
        except TooMany:
            return False
        return True

    made = await asyncio.gather(*(attempt() for _ in range(MAX_KEYS + 3)))
    assert sum(made) == MAX_KEYS
    assert len(await kept.of(1)) == MAX_KEYS
    await create(kept, 2)
    # Those that are over make room.
    clock.now += MINUTE
    await create(kept)
    assert len(await kept.of(1)) == 1


async def test_no_part_of_a_key_is_kept_but_its_id(kept: Keys, kept_at: str, tmp_path: Path) -> None:
    created = await create(kept)
    assert created.text not in repr(created)
    if kept_at.startswith("postgres"):
        (row,) = await ApiKeyRow.all().values()
        held = repr(row).encode()
    else:
        held = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"ci" in held
    assert created.text.removeprefix("key_1_").encode() not in held


async def test_a_json_file_that_would_use_a_key_id_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    await JsonStore(path).create(NewAccount(username="ada", hashed_password="h", user_type="default", created_by=1))
    await create(keys(f"json:{path}"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"next_key_id": 1}))
    with pytest.raises(ValueError, match="next_key_id: it has to be above every id in use"):
        await JsonStore(path).ready()


async def test_a_json_file_from_before_there_were_sessions_is_read(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    accounts = JsonStore(path)
    made = await accounts.create(NewAccount(username="ada", hashed_password="h", user_type="default", created_by=1))
    document = json.loads(path.read_text())
    path.write_text(json.dumps({"next_id": document["next_id"], "users": document["users"]}))
    assert await accounts.get(1) == made
    assert (await create(keys(f"json:{path}"))).key.id == 1
