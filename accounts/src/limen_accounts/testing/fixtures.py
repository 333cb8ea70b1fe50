"""Fixtures for tests of services with accounts: ``pytest_plugins = ["limen_accounts.testing.fixtures"]``, or import them.

``store_url`` needs the fixture ``postgres``, the address of a PostgreSQL server.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from limen_accounts.stores import Stores, open_stores
from limen_accounts.testing.hashes import REPLACEMENTS
from limen_accounts.testing.sessions import FakeClock
from limen_accounts.tortoise_stores.config import database_config
from limen_kit.testing import fresh_database, open_database


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make hashes cheap: a real one takes 64 MiB and 0.2 s."""
    for name, value in REPLACEMENTS.items():
        monkeypatch.setattr(name, value)


@pytest.fixture(params=["sqlite", "postgres", "json"])
async def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[str]:
    """The address of an empty, open store of each kind."""
    if request.param == "json":
        yield f"json:{tmp_path}/users.json"
        return
    async with AsyncExitStack() as stack:
        url = f"sqlite://{tmp_path}/users.sqlite3"
        if request.param == "postgres":
            url = await stack.enter_async_context(fresh_database(str(request.getfixturevalue("postgres"))))
        tortoise_orm = database_config(url)
        assert tortoise_orm is not None
        await stack.enter_async_context(open_database(tortoise_orm))
        yield url


@pytest.fixture
def clock() -> FakeClock:
    """The clock of ``stores``."""
    return FakeClock()


@pytest.fixture
def stores(store_url: str, clock: FakeClock) -> Stores:
    """Empty, open stores of each kind, which keep events."""
    return open_stores(store_url, events=True, now=clock)
