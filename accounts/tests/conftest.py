"""Fixtures that the tests of stores and of routes share."""

from collections.abc import AsyncGenerator

import httpx2
import pytest
from fastapi import FastAPI

from limen_accounts.accounts import NewAccount
from limen_accounts.sessions import SessionLimits, SessionStore
from limen_accounts.stores import Stores, open_stores
from limen_accounts.testing import HASHER, FakeClock, OpenSessions
from limen_accounts.testing.fixtures import cheap_hashes as cheap_hashes  # a fixture of every test below
from limen_accounts.testing.fixtures import clock as clock
from limen_accounts.testing.fixtures import store_url as store_url
from limen_accounts.testing.fixtures import stores as stores
from limen_accounts.testing.service import make_service, settings_for
from limen_accounts.tortoise_stores.config import database_config
from limen_kit.testing import running

_HASH_OF_B = HASHER.hash("b")


@pytest.fixture(autouse=True)
def hashing(request: pytest.FixtureRequest) -> None:
    """Hash cheaply, unless a test file overrides this."""
    request.getfixturevalue("cheap_hashes")


@pytest.fixture
async def open_sessions(stores: Stores, store_url: str, clock: FakeClock) -> OpenSessions:
    """Opens session stores with any limits, on a store with the accounts 1, 2 and 3, whose hash is "h"."""
    for name in ("ada", "bob", "cyd"):
        await stores.accounts.create_account(
            NewAccount(username=name, hashed_password="h", user_type="default", created_by=1)
        )
    return lambda limits: open_stores(store_url, limits, now=clock).sessions


@pytest.fixture
def session_store(open_sessions: OpenSessions) -> SessionStore:
    """A session store with the default limits."""
    return open_sessions(SessionLimits())


@pytest.fixture
async def running_service(store_url: str) -> AsyncGenerator[tuple[FastAPI, httpx2.AsyncClient]]:
    """The service on each kind of store, with the accounts 1, an admin, 2 and 3, whose password is "b"; and a client."""
    app = make_service(settings_for(store_url))
    async with running(app, database_config(store_url)) as client:
        for username, user_type in (("admin", "admin"), ("johndoe", "default"), ("test", "default")):
            await app.state.accounts.stores.accounts.create_account(
                NewAccount(username=username, hashed_password=_HASH_OF_B, user_type=user_type, created_by=1)
            )
        yield app, client
