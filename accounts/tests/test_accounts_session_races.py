"""One session used by several processes of the service at once, and one of them killed."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from anyio import to_thread
from tortoise import Tortoise

from limen_accounts.accounts import NewAccount
from limen_accounts.sessions import (
    EndedSession,
    NewSession,
    RefreshedSession,
    RefreshToken,
    SessionStore,
)
from limen_accounts.stores import open_stores
from limen_accounts.tortoise_stores.config import database_config
from limen_kit.testing import fresh_database, migrate_database

SETUP = """
import asyncio, json, sys
from tortoise import Tortoise
from limen_accounts.stores import open_stores
from limen_accounts.tortoise_stores.config import database_config
from limen_accounts.sessions import RefreshToken, SessionLimits

async def main(url, text):
    tortoise_orm = database_config(url)
    if tortoise_orm is not None:
        await Tortoise.init(config=tortoise_orm)
    store, token = open_stores(url).sessions, RefreshToken.parse(text)
    print("ready", flush=True)
    sys.stdin.readline()
    await work(store, token)
    if tortoise_orm is not None:
        await Tortoise.close_connections()
"""

CONCURRENT_REFRESHES = (
    SETUP
    + """
async def work(store, token):
    results = await asyncio.gather(*(store.refresh_session(token) for _ in range(5)))
    print(json.dumps([type(result).__name__ for result in results]))

asyncio.run(main(*sys.argv[1:]))
"""
)

ENDLESS_REFRESHES = (
    SETUP
    + """
async def work(store, token):
    while True:
        token = RefreshToken.parse((await store.refresh_session(token)).refresh_token)
        print(token.text, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""
)


@pytest.fixture(params=["sqlite", "postgres", "json"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[str]:
    async with AsyncExitStack() as stack:
        address = f"json:{tmp_path}/users.json"
        if request.param == "sqlite":
            address = f"sqlite://{tmp_path}/users.sqlite3"
        if request.param == "postgres":
            address = await stack.enter_async_context(fresh_database(str(request.getfixturevalue("postgres"))))
        if (tortoise_orm := database_config(address)) is not None:
            await migrate_database(tortoise_orm)
        yield address


@asynccontextmanager
async def opened_store(url: str) -> AsyncGenerator[SessionStore]:
    if (tortoise_orm := database_config(url)) is not None:
        await Tortoise.init(config=tortoise_orm)
    try:
        yield open_stores(url).sessions
    finally:
        await Tortoise.close_connections()


async def start_session(url: str) -> NewSession:
    async with opened_store(url) as session_store:
        await open_stores(url).accounts.create_account(
            NewAccount(username="ada", hashed_password="h", user_type="default", created_by=1)
        )
        return await session_store.begin_session(1, user_agent="", address="")


def start_process(script: str, url: str, session: NewSession) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, url, session.refresh_token]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def test_of_many_processes_that_refresh_with_one_token_one_does(url: str) -> None:
    session = await start_session(url)

    def race() -> list[str]:
        processes = [start_process(CONCURRENT_REFRESHES, url, session) for _ in range(4)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=50)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0, 0]
        return [result for output in outputs for result in json.loads(output)]

    results = await to_thread.run_sync(race)
    assert sorted(results) == ["EndedSession"] + ["NoneType"] * 18 + ["RefreshedSession"]
    async with opened_store(url) as session_store:
        assert await session_store.list_sessions(1) == []


async def test_a_killed_process_leaves_the_session_consistent(url: str) -> None:
    session = await start_session(url)

    def kill() -> str:
        with start_process(ENDLESS_REFRESHES, url, session) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            lines = [process.stdout.readline() for _ in range(20)]
            process.kill()
            lines += process.stdout.readlines()
        return [line for line in lines if line.endswith("\n")][-1].strip()

    token = RefreshToken.parse(await to_thread.run_sync(kill))
    assert token is not None
    async with opened_store(url) as session_store:
        (session_left,) = await session_store.list_sessions(1)
        assert session_left.id == session.session_id
        # The last response may have been lost; no change is ever half done.
        assert isinstance(await session_store.refresh_session(token), RefreshedSession | EndedSession)
        assert (await open_stores(url).accounts.list_accounts(q=None, limit=1, offset=0))[1] == 1
