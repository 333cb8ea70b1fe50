"""What several processes of the service do to one session at once, and what is left when one of them is killed."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from anyio import to_thread
from tortoise import Tortoise

from limen_kit.testing import fresh_database, migrate_database
from shop_users.accounts import NewAccount
from shop_users.database import config, sessions, store
from shop_users.sessions import Begun, Ended, Refreshed, Rules, Sessions, Token

SETUP = """
import asyncio, json, sys
from tortoise import Tortoise
from shop_users.database import config, sessions
from shop_users.sessions import Rules, Token

async def main(url, text):
    found = config(url)
    if found is not None:
        await Tortoise.init(config=found)
    kept, token = sessions(url, Rules()), Token.read(text)
    print("ready", flush=True)
    sys.stdin.readline()
    await work(kept, token)
    if found is not None:
        await Tortoise.close_connections()
"""

TOGETHER = (
    SETUP
    + """
async def work(kept, token):
    answers = await asyncio.gather(*(kept.refresh(token) for _ in range(5)))
    print(json.dumps([type(answer).__name__ for answer in answers]))

asyncio.run(main(*sys.argv[1:]))
"""
)

FOREVER = (
    SETUP
    + """
async def work(kept, token):
    while True:
        token = Token.read((await kept.refresh(token)).refresh_token)
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
        if (found := config(address)) is not None:
            await migrate_database(found)
        yield address


@asynccontextmanager
async def using(url: str) -> AsyncGenerator[Sessions]:
    if (found := config(url)) is not None:
        await Tortoise.init(config=found)
    try:
        yield sessions(url, Rules())
    finally:
        await Tortoise.close_connections()


async def begun(url: str) -> Begun:
    async with using(url) as kept:
        await store(url).create(NewAccount(username="ada", hashed_password="h", user_type="default", created_by=1))
        return await kept.begin(1, user_agent="", address="")


def process(script: str, url: str, session: Begun) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, url, session.refresh_token]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def test_of_many_processes_that_refresh_with_one_token_one_does(url: str) -> None:
    session = await begun(url)

    def race() -> list[str]:
        processes = [process(TOGETHER, url, session) for _ in range(4)]
        for one in processes:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in processes:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        outputs = [one.communicate(timeout=50)[0] for one in processes]
        assert [one.returncode for one in processes] == [0, 0, 0, 0]
        return [answer for output in outputs for answer in json.loads(output)]

    answers = await to_thread.run_sync(race)
    assert sorted(answers) == ["Ended"] + ["NoneType"] * 18 + ["Refreshed"]
    async with using(url) as kept:
        assert await kept.of(1) == []


async def test_a_process_that_is_killed_leaves_the_session_whole(url: str) -> None:
    session = await begun(url)

    def kill() -> str:
        with process(FOREVER, url, session) as one:
            assert one.stdin is not None
            assert one.stdout is not None
            one.stdin.write("\n")
            one.stdin.flush()
            told = [one.stdout.readline() for _ in range(20)]
            one.kill()
            told += one.stdout.readlines()
        return [line for line in told if line.endswith("\n")][-1].strip()

    token = Token.read(await to_thread.run_sync(kill))
    assert token is not None
    async with using(url) as kept:
        (left,) = await kept.of(1)
        assert left.id == session.session_id
        # Its answer may have been lost on the way; half a change there is not.
        assert isinstance(await kept.refresh(token), Refreshed | Ended)
        assert (await store(url).page(q=None, limit=1, offset=0))[1] == 1
