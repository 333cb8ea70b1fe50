"""The database of a service: configuration, migrations, and whether it answers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.migrations.api import migrate as apply_migrations

from limen_kit.address import check_address

TortoiseConfig = dict[str, Any]

# Seconds until a database that says nothing counts as absent.
_PATIENCE = 2.0

# Any number serves, as long as every service that shares a server takes the same one for migrations.
_MIGRATION_LOCK = 0x6C696D656E


def tortoise_config(url: str, label: str, *, models: str, migrations: str) -> TortoiseConfig:
    """Return Tortoise's configuration for one database at ``url``.

    ``models`` and ``migrations`` are modules. SQLite waits 5 s for a lock, and syncs before a write is acknowledged.
    Raises AddressError, which does not repeat the address.
    """
    check_address(url)
    if url.startswith("sqlite://") and "?" not in url and ":memory:" not in url:
        url += "?busy_timeout=5000&synchronous=FULL"
    return {
        "connections": {"default": url},
        "apps": {label: {"models": [models], "default_connection": "default", "migrations": migrations}},
        "use_tz": True,
        "timezone": "UTC",
    }


async def migrate(config: TortoiseConfig) -> None:
    """Bring the schema up to date; on PostgreSQL, several processes may try at once and one does it."""
    async with _alone(config["connections"]["default"]):
        try:
            await apply_migrations(config=config)
        finally:
            await Tortoise.close_connections()


async def check() -> None:
    """Raise when the database does not answer within 2 seconds."""
    async with asyncio.timeout(_PATIENCE):
        connection: Any = get_connection("default")
        await connection.execute_query("SELECT 1")


@asynccontextmanager
async def _alone(url: str) -> AsyncGenerator[None]:
    if url.startswith("sqlite"):
        yield
        return
    asyncpg: Any = import_module("asyncpg")  # comes with the extra ``postgres``
    try:
        connection = await asyncpg.connect(url.replace("asyncpg://", "postgres://", 1))
    except (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
    ) as error:  # such as a wrong password, which it does not repeat
        raise ConnectionError(f"{type(error).__name__}: {error}") from error
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
        yield
    finally:
        await connection.close()
