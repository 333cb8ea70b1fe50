"""A service that runs in the test's own process and event loop, without a socket. ``serving`` gives one a socket."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2
from fastapi import FastAPI

from limen_kit.database import TortoiseConfig
from limen_kit.testing.databases import migrate_database


@asynccontextmanager
async def running(app: FastAPI, tortoise_orm: TortoiseConfig | None = None) -> AsyncGenerator[httpx2.AsyncClient]:
    """Run ``app`` with its lifespan, after migrating ``tortoise_orm``. Only one at a time: Tortoise is global."""
    if tortoise_orm is not None:
        await migrate_database(tortoise_orm)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        yield client
