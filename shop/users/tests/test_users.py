"""What is the shop's own in the users service: its settings, the demo accounts, and who may not be deleted."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from limen_accounts.testing.fixtures import cheap_hashes as cheap_hashes
from limen_kit.testing import running
from shop_users.database import TORTOISE_ORM
from shop_users.service import create_app
from shop_users.settings import Settings

ADMIN = {"request-user-id": "1", "request-user-role": "admin"}

pytestmark = pytest.mark.usefixtures("cheap_hashes")


def settings(folder: Path, *, demo: bool = False) -> Settings:
    return Settings(database_url=f"json:{folder}/users.json", identity_keys="plain", demo=demo)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the service with the demo accounts."""
    async with running(create_app(settings(tmp_path, demo=True))) as found:
        yield found


async def log_in(client: httpx2.AsyncClient, username: str, password: str) -> httpx2.Response:
    return await client.post("/api/login", json={"username": username, "password": password})


@pytest.mark.parametrize(
    ("number", "username", "password", "user_type"),
    [(1, "admin", "a", "admin"), (2, "johndoe", "b", "default"), (3, "test", "test", "default")],
)
async def test_the_demo_accounts_log_in(
    client: httpx2.AsyncClient, number: int, username: str, password: str, user_type: str
) -> None:
    response = await log_in(client, username, password)
    found = response.json()
    assert (response.status_code, found["id"], found["user_type"]) == (201, number, user_type)


async def test_the_first_two_users_stay(client: httpx2.AsyncClient) -> None:
    answers = [(await client.delete(f"/api/users/{number}", headers=ADMIN)).status_code for number in (1, 2, 3)]
    assert answers == [403, 403, 204]


async def test_without_demo_there_are_no_known_accounts(tmp_path: Path) -> None:
    async with running(create_app(settings(tmp_path))) as client:
        assert (await log_in(client, "admin", "a")).status_code == 401


async def test_the_first_admin_comes_from_the_environment(tmp_path: Path) -> None:
    admin = settings(tmp_path).model_copy(
        update={"admin_username": "root", "admin_password": SecretStr("a long secret")}
    )
    async with running(create_app(admin)) as client:
        assert (await log_in(client, "root", "a long secret")).json()["user_type"] == "admin"


def test_the_tables_are_those_of_accounts() -> None:
    assert TORTOISE_ORM is not None
    assert list(TORTOISE_ORM["apps"]) == ["accounts"]
    assert TORTOISE_ORM["connections"]["default"].startswith("sqlite://users.sqlite3")
