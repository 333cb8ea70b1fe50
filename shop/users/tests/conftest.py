"""Fixtures that the tests of stores and of routes share."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from cheap_hashes import HASHER, REPLACEMENTS
from limen_kit.testing import fresh_database, open_database, running
from shop_users import database
from shop_users.accounts import NewAccount, UserType
from shop_users.service import create_app
from shop_users.sessions import SessionLimits, SessionStore
from shop_users.settings import Settings
from users_sessions import FakeClock, OpenSessions

_HASH_OF_B = HASHER.hash("b")


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make hashes cheap unless a test file overrides this: a real one takes 64 MiB and 0.2 s."""
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
        tortoise_orm = database.config(url)
        assert tortoise_orm is not None
        await stack.enter_async_context(open_database(tortoise_orm))
        yield url


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the stores under test."""
    return FakeClock()


@pytest.fixture
async def open_sessions(store_url: str, clock: FakeClock) -> OpenSessions:
    """Opens session stores with any limits, on a store with the accounts 1, 2 and 3, whose hash is "h"."""
    for name in ("ada", "bob", "cyd"):
        await database.account_store(store_url).create(
            NewAccount(username=name, hashed_password="h", user_type="default", created_by=1)
        )
    return lambda limits: database.session_store(store_url, limits, clock)


@pytest.fixture
def session_store(open_sessions: OpenSessions) -> SessionStore:
    """A session store with the default limits."""
    return open_sessions(SessionLimits())


@pytest.fixture(params=["sqlite", "json"])
async def running_service(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncGenerator[tuple[FastAPI, httpx2.AsyncClient]]:
    """The service with the accounts 1, an admin, 2 and 3, whose password is "b"; and a client of it."""
    url = f"json:{tmp_path}/users.json" if request.param == "json" else f"sqlite://{tmp_path}/users.sqlite3"
    app = create_app(Settings(database_url=url, identity_keys="plain"))
    async with running(app, database.config(url)) as client:
        accounts: list[tuple[str, UserType]] = [("admin", "admin"), ("johndoe", "default"), ("test", "default")]
        for username, user_type in accounts:
            await database.account_store(url).create(
                NewAccount(username=username, hashed_password=_HASH_OF_B, user_type=user_type, created_by=1)
            )
        yield app, client
