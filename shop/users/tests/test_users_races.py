"""Several clients and several processes of the service at once, on every kind of store."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from anyio import to_thread
from fastapi import FastAPI
from pwdlib.hashers.bcrypt import BcryptHasher

import cheap_hashes
from limen_kit.testing import fresh_database, migrate_database, running
from shop_users.accounts import AccountStore
from shop_users.database import config
from shop_users.passwords import PasswordHasher
from shop_users.service import create_app
from shop_users.settings import Settings

ADMIN = {"request-user-id": "1", "request-user-role": "admin"}
JOHN = {"request-user-id": "2", "request-user-role": "default"}


@pytest.fixture(params=["sqlite", "postgres", "json"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[str]:
    async with AsyncExitStack() as stack:
        match request.param:
            case "postgres":
                yield await stack.enter_async_context(fresh_database(str(request.getfixturevalue("postgres"))))
            case "json":
                yield f"json:{tmp_path}/users.json"
            case _:
                yield f"sqlite://{tmp_path}/users.sqlite3"


async def test_of_many_creations_of_one_user_one_wins(url: str) -> None:
    async with running(create_app(Settings(database_url=url, identity_keys="plain")), config(url)) as client:

        async def create(number: int) -> httpx2.Response:
            name = "wanted" if number % 2 else "WANTED"
            form = {"username": name, "password": "correct horse", "user_type": "default", "full_name": str(number)}
            return await client.post("/api/users", json=form, headers=ADMIN)

        responses = await asyncio.gather(*map(create, range(12)))
        assert sorted(response.status_code for response in responses) == [201] + [409] * 11
        details = {response.json()["detail"] for response in responses if response.status_code == 409}
        assert details == {"There is already another user with this username."}
        winner = next(response for response in responses if response.status_code == 201)
        listed = await client.get("/api/users", headers=ADMIN)
        assert listed.json() == [winner.json()]


STARTER = """
import asyncio
from cheap_hashes import REPLACEMENTS
from limen_kit.testing import running
from pytest import MonkeyPatch
from shop_users.app import app

for name, value in REPLACEMENTS.items():
    MonkeyPatch().setattr(name, value)

async def main():
    async with running(app):
        pass

asyncio.run(main())
"""


async def test_several_processes_that_start_at_once_make_the_demo_accounts_once(url: str, tmp_path: Path) -> None:
    if (tortoise_orm := config(url)) is not None:
        await migrate_database(tortoise_orm)

    def start() -> Sequence[int]:
        environment = os.environ | {
            "DATABASE_URL": url,
            "DEMO": "1",
            "IDENTITY_KEYS": "plain",
            "PYTHONPATH": str(Path(cheap_hashes.__file__).parent),
        }
        command = [sys.executable, "-c", STARTER]
        processes = [subprocess.Popen(command, cwd=tmp_path, env=environment) for _ in range(3)]
        return [process.wait(50) for process in processes]

    assert await to_thread.run_sync(start) == [0, 0, 0]
    async with running(create_app(Settings(database_url=url, identity_keys="plain"))) as client:
        users = (await client.get("/api/users", headers=ADMIN)).json()
        assert [(user["id"], user["username"]) for user in users] == [(1, "admin"), (2, "johndoe"), (3, "test")]


class PausedHasher(PasswordHasher):
    """Pauses after each verification, so that a test can change something in between."""

    def __init__(self) -> None:
        super().__init__()
        self.verification_done = asyncio.Event()
        self.go_on = asyncio.Event()

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        result = await super().verify(password, hashed)
        self.verification_done.set()
        await self.go_on.wait()
        return result


async def set_old_hash(app: FastAPI) -> None:
    accounts: AccountStore = app.state.account_store
    account = await accounts.get(2)
    assert account is not None
    old = BcryptHasher(rounds=4).hash("old password")
    assert await accounts.rehash(2, account.hashed_password, old)


async def test_a_login_cannot_bring_an_old_password_back(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"json:{tmp_path}/users.json", identity_keys="plain", demo=True))
    async with running(app) as client:
        await set_old_hash(app)
        app.state.password_hasher = hasher = PausedHasher()
        old = {"username": "johndoe", "password": "old password"}
        login = asyncio.create_task(client.post("/api/login", json=old))
        await hasher.verification_done.wait()
        changed = await client.put("/api/users/2/password", json={"new_password": "a new one"}, headers=ADMIN)
        assert changed.status_code == 204
        hasher.go_on.set()
        # Nor does it begin a session, which would outlive the change.
        assert (await login).status_code == 401
        assert (await client.post("/api/login", json=old)).status_code == 401
        assert (await client.post("/api/login", json=old | {"password": "a new one"})).status_code == 201


async def test_an_owner_cannot_overrule_a_change_made_meanwhile(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"json:{tmp_path}/users.json", identity_keys="plain", demo=True))
    async with running(app) as client:
        app.state.password_hasher = hasher = PausedHasher()
        change = {"current_password": "b", "new_password": "the thief's"}
        changing = asyncio.create_task(client.put("/api/users/2/password", json=change, headers=JOHN))
        await hasher.verification_done.wait()
        by_admin = await client.put("/api/users/2/password", json={"new_password": "the admin's"}, headers=ADMIN)
        assert by_admin.status_code == 204
        hasher.go_on.set()
        refused = await changing
        assert (refused.status_code, refused.json()["detail"]) == (403, "Password is wrong.")
        credentials = {"username": "johndoe", "password": "the admin's"}
        assert (await client.post("/api/login", json=credentials)).status_code == 201
