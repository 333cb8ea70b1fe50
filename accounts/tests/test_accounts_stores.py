"""One suite for every store of accounts: Tortoise on SQLite and PostgreSQL, and the JSON file."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tortoise.exceptions import OperationalError

from limen_accounts.accounts import Account, AccountStore, Changes, NewAccount, UsernameOrEmailTaken
from limen_accounts.json_store import JsonStore
from limen_accounts.stores import open_stores
from limen_accounts.tortoise_stores import TortoiseAccountStore
from limen_accounts.tortoise_stores.config import database_config
from limen_kit.testing import open_database


@pytest.fixture
def accounts(store_url: str) -> AccountStore:
    return open_stores(store_url).accounts


def new_account(username: str, *, email: str | None = None, full_name: str | None = None) -> NewAccount:
    return NewAccount(
        username=username, hashed_password="h", user_type="default", email=email, full_name=full_name, created_by=1
    )


async def updated(accounts: AccountStore, number: int, changes: Changes) -> Account:
    """Return an account after a change."""
    found = await accounts.update_account(number, changes)
    assert found is not None
    return found[0]


async def test_what_is_created_can_be_found(accounts: AccountStore) -> None:
    await accounts.ready()
    made = await accounts.create_account(new_account("Ada", email="Ada@example.com", full_name="Ada L"))
    assert isinstance(made, Account)
    assert (made.id, made.username, made.email, made.created_at.tzinfo is not None) == (
        1,
        "Ada",
        "Ada@example.com",
        True,
    )
    assert await accounts.get_account(1) == made
    assert await accounts.get_account_by_username("aDA") == made
    assert await accounts.get_account(2) is None
    assert await accounts.get_account_by_username("bob") is None


async def test_usernames_and_emails_are_unique_whatever_their_case(accounts: AccountStore) -> None:
    await accounts.create_account(new_account("Straße", email="a@example.com"))
    for conflicting, field in (
        (new_account("STRASSE"), "username"),
        (new_account("straße", email="a@example.com"), "username"),
        (new_account("bob", email="A@Example.com"), "email"),
    ):
        with pytest.raises(UsernameOrEmailTaken) as error:
            await accounts.create_account(conflicting)
        assert error.value.field == field
    await accounts.create_account(new_account("bob"))
    await accounts.create_account(new_account("cyd"))


async def test_of_many_who_want_one_name_one_gets_it(accounts: AccountStore) -> None:
    async def attempt(number: int) -> bool:
        try:
            await accounts.create_account(
                new_account("wanted" if number % 2 else "WANTED", email=f"e{number}@example.com")
            )
        except UsernameOrEmailTaken:
            return False
        return True

    assert sum(await asyncio.gather(*map(attempt, range(20)))) == 1


async def test_changes_affect_only_the_named_fields(accounts: AccountStore) -> None:
    await accounts.create_account(new_account("ada", email="a@example.com", full_name="Ada"))
    await accounts.create_account(new_account("bob", email="b@example.com"))
    changed = await updated(accounts, 1, {"full_name": None, "user_type": "admin"})
    assert (changed.username, changed.email, changed.full_name, changed.user_type) == (
        "ada",
        "a@example.com",
        None,
        "admin",
    )
    assert await updated(accounts, 1, {}) == changed
    renamed = await updated(accounts, 1, {"username": "ADA", "email": "A@example.com"})
    assert renamed.username == "ADA"
    for changes, field in (({"username": "BOB"}, "username"), ({"email": "B@example.com"}, "email")):
        with pytest.raises(UsernameOrEmailTaken) as error:
            await accounts.update_account(1, changes)  # pyright: ignore[reportArgumentType] - both are Changes
        assert error.value.field == field
    assert (await accounts.get_account(1)) == renamed
    assert await accounts.update_account(9, {"username": "x"}) is None
    assert (await updated(accounts, 2, {"email": None})).email is None
    await accounts.create_account(new_account("cyd", email="b@example.com"))


async def test_a_hash_is_replaced_only_while_it_is_the_one_that_was_seen(accounts: AccountStore) -> None:
    await accounts.create_account(new_account("ada"))
    await accounts.create_account(new_account("bob"))
    assert await accounts.replace_hash(1, "h", "better")
    assert not await accounts.replace_hash(1, "h", "late")
    assert not await accounts.replace_hash(9, "h", "better")
    ada, bob = await accounts.get_account(1), await accounts.get_account(2)
    assert ada is not None
    assert bob is not None
    assert (ada.hashed_password, bob.hashed_password) == ("better", "h")


async def test_of_several_concurrent_fills_one_succeeds(accounts: AccountStore) -> None:
    first = [new_account(name, email=f"{name}@example.com") for name in ("ada", "bob", "cyd")]
    assert sum(await asyncio.gather(*(accounts.create_first_accounts(first) for _ in range(5)))) == 1
    matching, total = await accounts.list_accounts(q=None, limit=50, offset=0)
    assert ([(a.id, a.username) for a in matching], total) == ([(1, "ada"), (2, "bob"), (3, "cyd")], 3)
    assert (await accounts.create_account(new_account("dan"))).id == 4
    assert not await accounts.create_first_accounts([new_account("eve")])


async def test_pages_and_search(accounts: AccountStore) -> None:
    for name in ("ada", "bob", "cyd"):
        await accounts.create_account(new_account(name, email=f"{name}@example.com", full_name=f"{name.title()} X"))
    page, total = await accounts.list_accounts(q=None, limit=2, offset=1)
    assert ([a.username for a in page], total) == (["bob", "cyd"], 3)
    for q, count in {"BOB@": 1, "cyd x": 1, "example": 3, "%": 0}.items():
        matching, total = await accounts.list_accounts(q=q, limit=50, offset=0)
        assert (len(matching), total) == (count, count), q


async def test_ids_are_never_used_twice(accounts: AccountStore) -> None:
    for name in ("ada", "bob"):
        await accounts.create_account(new_account(name))
    assert await accounts.delete_account(2) == []
    assert await accounts.delete_account(2) is None
    assert (await accounts.create_account(new_account("cyd"))).id == 3


WRITER = """
import asyncio, sys
from pathlib import Path
from limen_accounts.accounts import NewAccount, UsernameOrEmailTaken
from limen_accounts.json_store import JsonStore

def new(name):
    return NewAccount(username=name, hashed_password="h", user_type="default", created_by=1)

async def main(name, path):
    store = JsonStore(Path(path))
    for turn in range(20):
        await store.create_account(new(f"{name}-{turn}"))
        try:
            await store.create_account(new(f"shared-{turn}"))
        except UsernameOrEmailTaken:
            pass

asyncio.run(main(*sys.argv[1:]))
"""


def test_several_processes_write_one_json_file(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, name, str(path)]) for name in ("a", "b", "c")]
    assert [writer.wait(50) for writer in writers] == [0, 0, 0]
    document = json.loads(path.read_text())
    names = [user["username"] for user in document["users"]]
    assert len(names) == len(set(names)) == 20 * 4
    assert [user["id"] for user in document["users"]] == list(range(1, 81))
    assert document["next_id"] == 81
    assert path.read_text().startswith('{\n    "next_id"')
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("next_id", [1, 7])
async def test_a_json_file_that_would_use_an_id_twice_is_refused(tmp_path: Path, next_id: int) -> None:
    path = tmp_path / "users.json"
    made = await JsonStore(path).create_account(new_account("ada"))
    document = json.loads(path.read_text()) | {"next_id": next_id}
    document["users"][0]["id"] = 7
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="next_id: it has to be above every id in use"):
        await JsonStore(path).create_account(new_account("bob"))
    document["next_id"] = 8
    path.write_text(json.dumps(document))
    assert await JsonStore(path).get_account(7) == replace(made, id=7)


async def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"missing is no folder .* make it, or change DATABASE_URL"):
        await JsonStore(tmp_path / "missing" / "users.json").ready()


@pytest.mark.parametrize("content", ["", "[1]", '{"users": [{"id": "secret-hash"}]}', "{", '{"secret-hash": 1}'])
async def test_a_broken_json_file_is_reported_without_its_content(tmp_path: Path, content: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"users\.json is not a users file") as caught:
        await JsonStore(path).ready()
    assert "secret-hash" not in str(caught.value)
    assert path.read_text() == content


async def test_filling_sqlite_locks_before_it_checks(tmp_path: Path) -> None:
    matching = database_config(f"sqlite://{tmp_path}/users.sqlite3?busy_timeout=1")
    assert matching is not None
    async with open_database(matching):
        with closing(sqlite3.connect(tmp_path / "users.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            # Nothing to insert: the check alone has to wait for the other process.
            with pytest.raises(OperationalError, match="locked"):
                await TortoiseAccountStore().create_first_accounts([])
            other.execute("ROLLBACK")
        assert await TortoiseAccountStore().create_first_accounts([new_account("ada")])
