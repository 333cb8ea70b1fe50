"""A pytest plugin with what the tests of every service need: ``-p limen_kit.testing.fixtures``.

It imports little: it is loaded before anything else, also where only one test without a database runs.
"""

import logging
import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import cast

import pytest


@pytest.fixture(autouse=True)
def own_logging() -> Generator[None]:
    """Undo what a service that starts in this process does to the root logger: the tests that follow look at it."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture(scope="session")
def postgres() -> Generator[str]:
    """The address of a PostgreSQL server; without one the test is skipped on a laptop and fails where ``CI`` is set."""
    from limen_kit.testing.postgres import PostgresUnavailable, postgres_server

    try:
        with postgres_server() as address:
            yield address
    except PostgresUnavailable as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(params=["sqlite", "postgres"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[str]:
    """The address of an empty database, of either kind."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/test.sqlite3"
        return
    from limen_kit.testing.postgres import fresh_database

    async with fresh_database(cast("str", request.getfixturevalue("postgres"))) as address:
        yield address
