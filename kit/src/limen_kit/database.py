"""The database of a service: configuration, migrations, and whether it answers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.migrations.api import migrate as apply_migrations

from limen_kit.database_url import check_database_url

TortoiseConfig = dict[str, Any]

# Seconds until a database that does not answer counts as absent.
_CHECK_TIMEOUT = 2.0

# Any number will do, as long as all services that share a server use the same one for migrations.
_MIGRATION_LOCK_ID = 0x6C696D656E


def tortoise_config(url: str, label: str, *, models: str, migrations: str) -> TortoiseConfig:
    """Return Tortoise's configuration for one database at ``url``.

    ``models`` and ``migrations`` are modules. SQLite waits 5 s for a lock, and syncs before a write is acknowledged.
    Raises DatabaseUrlError, which does not repeat the address.
    """
    check_database_url(url)
    if url.startswith("sqlite://") and "?" not in url and ":memory:" not in url:
        url += "?busy_timeout=5000&synchronous=FULL"
    return {
        "connections": {"default": url},
        "apps": {label: {"models": [models], "default_connection": "default", "migrations": migrations}},
        "use_tz": True,
        "timezone": "UTC",
    }


async def migrate(config: TortoiseConfig) -> None:
    """Apply the missing migrations; on PostgreSQL, one of several processes that try at once does it."""
    async with _migration_lock(config["connections"]["default"]):
        try:
            await apply_migrations(config=config)
        finally:
            await Tortoise.close_connections()


async def check() -> None:
    """Raise when the database does not answer within 2 seconds."""
    async with asyncio.timeout(_CHECK_TIMEOUT):
        connection: Any = get_connection("default")
        await connection.execute_query("SELECT 1")


@asynccontextmanager
async def _migration_lock(url: str) -> AsyncGenerator[None]:
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
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK_ID)
        yield
    finally:
        await connection.close()
