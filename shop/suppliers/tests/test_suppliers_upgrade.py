"""A database from before suppliers had versions and keys: its suppliers stay, and everything new works with them."""

import asyncio
from typing import Any

from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.migrations.api import migrate

from limen_kit.testing import Signer, running
from shop_suppliers.database import config
from shop_suppliers.service import create_app
from shop_suppliers.settings import Settings

GATEWAY = Signer("suppliers")
OWNER = GATEWAY.identity_headers(2)
OLD = """
    INSERT INTO suppliers (name, surname, address, created_by, created_at)
    VALUES ('Ada', 'Lovelace', 'London', 2, '2026-01-01 00:00:00+00:00')
"""
FORM = {"name": "Grace", "surname": "Hopper", "address": "New York"}


async def test_suppliers_of_before_have_a_version_and_new_ones_have_keys(database_url: str) -> None:
    tortoise_orm = config(database_url)
    await migrate(config=tortoise_orm, target="suppliers.0001_initial")
    connection: Any = get_connection("default")
    for _ in range(2):  # without a key, so these do not clash
        await connection.execute_query(OLD)
    await Tortoise.close_connections()

    settings = Settings(database_url=database_url, identity_keys=GATEWAY.keys)
    async with running(create_app(settings), tortoise_orm) as client:
        changed = await client.put("/api/suppliers/1", json={"name": "A"}, headers=OWNER | {"if-match": '"1"'})
        assert (changed.status_code, changed.headers["etag"], changed.json()["surname"]) == (200, '"2"', "Lovelace")
        assert (await client.get("/api/suppliers/2")).json()["name"] == "Ada"
        key = OWNER | {"idempotency-key": "k"}
        answers = await asyncio.gather(*(client.post("/api/suppliers", json=FORM, headers=key) for _ in range(3)))
        assert {(answer.status_code, answer.json()["id"]) for answer in answers} == {(201, 3)}
