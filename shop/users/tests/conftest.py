"""Fixtures that the tests of stores and of routes share."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from cheap_hashes import HASHER, INSTEAD
from kept_sessions import Hand, Open
from limen_kit.testing import fresh_database, open_database, running
from shop_users.accounts import NewAccount, UserType
from shop_users.app import create_app
from shop_users.database import config, sessions, store
from shop_users.sessions import Rules, Sessions
from shop_users.settings import Settings

_HASH_OF_B = HASHER.hash("b")


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hashes cost nothing, where a test file does not say otherwise: each is 64 MiB and a fifth of a second."""
    for name, value in INSTEAD.items():
        monkeypatch.setattr(name, value)


@pytest.fixture(params=["sqlite", "postgres", "json"])
async def kept_at(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[str]:
    """The address of an empty store of each kind, which is open."""
    if request.param == "json":
        yield f"json:{tmp_path}/users.json"
        return
    async with AsyncExitStack() as stack:
        url = f"sqlite://{tmp_path}/users.sqlite3"
        if request.param == "postgres":
            url = await stack.enter_async_context(fresh_database(str(request.getfixturevalue("postgres"))))
        found = config(url)
        assert found is not None
        await stack.enter_async_context(open_database(found))
        yield url


@pytest.fixture
def clock() -> Hand:
    """The time of the stores under test."""
    return Hand()


@pytest.fixture
async def opening(kept_at: str, clock: Hand) -> Open:
    """Sessions by any rules, on a store with the accounts 1, 2 and 3, whose hash is "h"."""
    for name in ("ada", "bob", "cyd"):
        await store(kept_at).create(NewAccount(username=name, hashed_password="h", user_type="default", created_by=1))
    return lambda rules: sessions(kept_at, rules, clock)


@pytest.fixture
def kept(opening: Open) -> Sessions:
    """Sessions by the rules that are the default."""
    return opening(Rules())


@pytest.fixture(params=["sqlite", "json"])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[tuple[FastAPI, httpx2.AsyncClient]]:
    """The service with the accounts 1, an admin, 2 and 3, whose password is "b"; and a client of it."""
    url = f"json:{tmp_path}/users.json" if request.param == "json" else f"sqlite://{tmp_path}/users.sqlite3"
    app = create_app(Settings(database_url=url))
    async with running(app, config(url)) as client:
        accounts: list[tuple[str, UserType]] = [("admin", "admin"), ("johndoe", "default"), ("test", "default")]
        for username, user_type in accounts:
            await store(url).create(
                NewAccount(username=username, hashed_password=_HASH_OF_B, user_type=user_type, created_by=1)
            )
        yield app, client
