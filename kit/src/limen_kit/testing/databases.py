"""A migrated database for a test, whichever kind the test before has used."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from tortoise import Tortoise
from tortoise.backends.base import executor

from limen_kit import database


@asynccontextmanager
async def open_database(tortoise_orm: database.TortoiseConfig) -> AsyncGenerator[None]:
    """Open a database without a service around it, after migrating it."""
    await migrate_database(tortoise_orm)
    await Tortoise.init(config=tortoise_orm)
    try:
        yield
    finally:
        await Tortoise.close_connections()


async def migrate_database(tortoise_orm: database.TortoiseConfig) -> None:
    """Migrate, whichever kind of database the previous test has used."""
    # Tortoise caches statements by the connection's name, in the dialect of the first database of that name.
    cache_size: dict[Any, Any] = vars(executor)["EXECUTOR_CACHE"]
    cache_size.clear()
    await database.migrate(tortoise_orm)
