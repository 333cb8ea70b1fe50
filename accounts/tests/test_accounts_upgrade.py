"""A database from the time when these tables belonged to the users service of the shop, and had its label in the records."""

from typing import Any

from tortoise.connection import get_connection

from limen_accounts.accounts import NewAccount
from limen_accounts.stores import open_stores
from limen_accounts.tortoise_stores.config import database_config
from limen_kit.testing import open_database

# What made the database what it was before: the label, no table of events, no versions and no locks.
BEFORE = (
    "DROP TABLE account_events",
    "ALTER TABLE users DROP COLUMN version",
    "ALTER TABLE users DROP COLUMN locked_at",
    "DELETE FROM tortoise_migrations WHERE name IN ('0003_events', '0004_versions', '0005_locks')",
    "UPDATE tortoise_migrations SET app = 'users' WHERE app = 'accounts'",
)


async def records() -> list[tuple[str, str]]:
    connection: Any = get_connection("default")
    _, rows = await connection.execute_query("SELECT app, name FROM tortoise_migrations ORDER BY id")
    return [(row["app"], row["name"]) for row in rows]


async def test_a_database_of_before_goes_on_with_its_accounts_and_sessions(database_url: str) -> None:
    tortoise_orm, stores = database_config(database_url), open_stores(database_url, events=True)
    assert tortoise_orm is not None
    async with open_database(tortoise_orm):
        await stores.accounts.create_account(
            NewAccount(username="ada", hashed_password="h", user_type="admin", created_by=1)
        )
        session = await stores.sessions.begin_session(1, user_agent="", address="")
        connection: Any = get_connection("default")
        for statement in BEFORE:
            await connection.execute_query(statement)
        assert await records() == [("users", "0001_initial"), ("users", "0002_sessions_and_keys")]
    for _ in range(2):  # the second time there is nothing to do
        async with open_database(tortoise_orm):
            assert [app for app, _ in await records()] == ["accounts"] * 5
            assert [found.id for found in await stores.sessions.list_sessions(1)] == [session.session_id]
    async with open_database(tortoise_orm):
        assert await stores.accounts.delete_account(1) == [session.session_id]
        assert stores.events is not None
        assert len(await stores.events.pending_events(10)) == 1
