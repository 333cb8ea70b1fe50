"""A database of before, or a new one, is not ready until it is migrated; its orders stay, and what is new works with them."""

import os
import subprocess
import sys
from typing import Any

import pytest
from anyio import to_thread
from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.migrations.api import migrate

from limen_kit.testing import Signer, running
from shop_orders.database import config
from shop_orders.service import create_app
from shop_orders.settings import Settings

GATEWAY = Signer("orders")
OWNER, USERS = GATEWAY.identity_headers(2), GATEWAY.identity_headers("users", "service")
EVENT = {"specversion": "1.0", "id": "e", "source": "users", "type": "user.deleted", "data": {"id": 2}}
OLD = """
    INSERT INTO orders (address, item, status, created_by, created_at, key)
    VALUES ('1 Main St', 'lamp', 'placed', 2, '2026-01-01 00:00:00+00:00', 'k')
"""


async def test_orders_of_before_have_a_version_and_are_those_of_their_user(database_url: str) -> None:
    tortoise_orm = config(database_url)
    await migrate(config=tortoise_orm, target="orders.0001_initial")
    connection: Any = get_connection("default")
    await connection.execute_query(OLD)
    await Tortoise.close_connections()

    settings = Settings(database_url=database_url, identity_keys=GATEWAY.keys)
    async with running(create_app(settings), tortoise_orm) as client:
        found = await client.get("/api/orders/1", headers=OWNER)
        assert (found.json()["supplier_id"], found.headers["etag"]) == (None, '"1"')
        cancelled = await client.post("/api/orders/1/cancel", headers=OWNER | {"if-match": '"1"'})
        assert (cancelled.status_code, cancelled.headers["etag"]) == (200, '"2"')
        used = await client.post(
            "/api/orders", json={"address": "x", "item": "y"}, headers=OWNER | {"idempotency-key": "k"}
        )
        assert (used.status_code, used.json()["code"]) == (409, "idempotency_key_reused")
        assert (await client.post("/events", json=EVENT, headers=USERS)).status_code == 204
        erased = await client.get("/api/orders/1", headers=OWNER)
        assert (erased.json()["address"], erased.headers["etag"]) == ("", '"3"')


def migrate_as_an_operator(url: str) -> None:
    command = [sys.executable, "-m", "limen_kit", "migrate", "shop_orders.database"]
    subprocess.run(command, env=os.environ | {"DATABASE_URL": url}, check=True, timeout=50)


async def test_a_service_is_not_ready_until_its_database_is_migrated(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(database_url=database_url, identity_keys=GATEWAY.keys)
    async with running(create_app(settings)) as client:
        assert "lacks orders.0001_initial, orders.0002_suppliers_and_deleted_users: run" in capsys.readouterr().err
        refused = await client.get("/readyz")
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        await to_thread.run_sync(migrate_as_an_operator, database_url)
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        assert (await client.get("/api/orders", headers=OWNER)).json() == []
