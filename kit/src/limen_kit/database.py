"""The database of a service: configuration, migrations, and whether it answers."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from urllib.parse import urlsplit

from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.migrations.api import migrate as apply_migrations
from tortoise.migrations.recorder import MigrationRecorder

from limen_kit.database_url import check_database_url

TortoiseConfig = dict[str, Any]

_log = logging.getLogger("limen_kit.database")

# Seconds until a database that does not answer counts as absent.
_CHECK_TIMEOUT = 2.0

# Any number will do, as long as all services that share a server use the same one for migrations.
_MIGRATION_LOCK_ID = 0x6C696D656E

# Seconds between two attempts to get the lock of a file.
_LOCK_INTERVAL = 0.05


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables that belong together, with their migrations: Tortoise's *app*. ``models`` and ``migrations`` are modules.

    ``formerly`` is the label that they had in an earlier version: ``migrate`` renames it in the records of what is applied.
    """

    label: str
    models: str
    migrations: str
    formerly: str | None = None


def tortoise_config(url: str, *tables: Tables) -> TortoiseConfig:
    """Return Tortoise's configuration for one database at ``url`` that holds ``tables``: a service's own, and a library's.

    SQLite waits 5 s for a lock, and syncs before a write is acknowledged. Tortoise
    adds WAL, with which several processes share a file: a write waits for another write, and a read for nothing.
    Raises DatabaseUrlError, which does not repeat the address.
    """
    check_database_url(url)
    if url.startswith("sqlite://") and "?" not in url and ":memory:" not in url:
        url += "?busy_timeout=5000&synchronous=FULL"
    return {
        "connections": {"default": url},
        "apps": {
            each.label: {
                "models": [each.models],
                "default_connection": "default",
                "migrations": each.migrations,
                "formerly": each.formerly,  # Tortoise does not read it; ``migrate`` does
            }
            for each in tables
        },
        "use_tz": True,
        "timezone": "UTC",
    }


async def migrate(config: TortoiseConfig) -> None:
    """Apply the missing migrations. Of several processes that try at once, one does it, and the others wait for it."""
    async with _migration_lock(config["connections"]["default"]):
        try:
            await _rename_labels(config)
            await apply_migrations(config=config)
        finally:
            await Tortoise.close_connections()


async def _rename_labels(config: TortoiseConfig) -> None:
    """Give the records of applied migrations the label of today: Tortoise would apply them again under a new one."""
    apps: dict[str, dict[str, Any]] = config["apps"]
    for label, app in apps.items():
        formerly = app.get("formerly")
        if formerly is None or formerly in apps:  # the label may have been given to other tables since
            continue
        await Tortoise.init(config=config, init_connections=False)
        connection: Any = get_connection("default")
        recorded = {key.app_label for key in await MigrationRecorder(connection).applied_migrations()}
        if formerly in recorded and label not in recorded:
            # Labels are names of ours, never a client's text.
            await connection.execute_query(
                f"UPDATE tortoise_migrations SET app = '{label}' WHERE app = '{formerly}'"  # noqa: S608
            )
            _log.info("the records of migrations of %r are those of %r now", formerly, label)


async def check() -> None:
    """Raise when the database does not answer within 2 seconds."""
    async with asyncio.timeout(_CHECK_TIMEOUT):
        connection: Any = get_connection("default")
        await connection.execute_query("SELECT 1")


class Readiness:
    """Whether the open database of ``config`` answers and has all migrations; once it has them, only the former is asked."""

    def __init__(self, config: TortoiseConfig) -> None:
        """Ask nothing yet."""
        self._config = config
        self._migrated = False

    async def check(self) -> None:
        """Raise while a service cannot work with it; the message says what to run."""
        await check()
        if self._migrated:
            return
        if missing := await _missing_migrations(self._config):
            raise RuntimeError(
                f"the database lacks {', '.join(missing)}: run python -m limen_kit migrate MODULE, the module of the service "
                "that has TORTOISE_ORM, such as shop_orders.database"
            )
        self._migrated = True


async def _missing_migrations(config: TortoiseConfig) -> list[str]:
    connection: Any = get_connection("default")
    applied = {(key.app_label, key.name) for key in await MigrationRecorder(connection).applied_migrations()}
    apps: dict[str, dict[str, Any]] = config["apps"]
    return [
        f"{label}.{name}"
        for label, app in apps.items()
        for name in _migrations(app.get("migrations"))
        if (label, name) not in applied
    ]


def _migrations(package: str | None) -> list[str]:
    """Return the names of the migrations in ``package``: modules that begin with a number, as Tortoise reads them."""
    if package is None:
        return []
    return sorted(found.name for found in iter_modules(import_module(package).__path__) if found.name[0].isdigit())


@asynccontextmanager
async def _migration_lock(url: str) -> AsyncGenerator[None]:
    if url.startswith("sqlite"):
        parts = urlsplit(url)
        async with _file_lock(parts.netloc + parts.path):  # as Tortoise reads it
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


@asynccontextmanager
async def _file_lock(path: str) -> AsyncGenerator[None]:
    """Hold the lock of the SQLite file ``path``.

    The lock is a transaction on an empty database beside it: that works wherever SQLite does, and ends with its process. On
    the file itself, the migration would wait for it.
    """
    if path == ":memory:":  # of this process alone
        yield
        return
    database = Path(path)
    try:
        lock = sqlite3.connect(database.with_name(f".{database.name}.migrating"), isolation_level=None)
    except sqlite3.OperationalError as error:  # such as a folder that does not exist
        raise OSError(f"{path}: {error}") from error
    with closing(lock):
        lock.execute("PRAGMA busy_timeout=0")
        told = False
        while not _locked(lock, path):
            if not told:
                _log.warning("another process migrates this database: waiting for its end")
                told = True
            await asyncio.sleep(_LOCK_INTERVAL)
        yield


def _locked(lock: sqlite3.Connection, path: str) -> bool:
    """Begin the transaction that is the lock; return whether nobody else has it."""
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            return False
        raise OSError(f"{path}: {error}") from error
    return True
