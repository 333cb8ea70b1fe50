"""Failures inside a service: an unhandled exception, a response that breaks off, a database that does not answer."""

import logging
import warnings
from collections.abc import AsyncGenerator

import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from limen_kit.app import create_service
from limen_kit.database import Tables, tortoise_config
from limen_kit.settings import ServiceSettings
from limen_kit.testing import running

router = APIRouter()
SETTINGS = ServiceSettings(database_url="sqlite://unused", identity_keys="plain")


@router.get("/bug/{name}")
async def bug(name: str) -> None:
    raise RuntimeError("a bug")


@router.get("/broken")
async def broken() -> StreamingResponse:
    async def chunks() -> AsyncGenerator[str]:
        yield "begun"
        raise RuntimeError("midway")

    return StreamingResponse(chunks())


async def test_a_bug_is_logged_on_one_line_whatever_its_path(caplog: pytest.LogCaptureFixture) -> None:
    app = create_service("Test", settings=SETTINGS, tortoise_orm=None, routers=[router])
    async with running(app) as client:
        logging.getLogger().addHandler(caplog.handler)  # starting the service has replaced the handlers
        assert (await client.get("/bug/a%0Aforged")).status_code == 500
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == ["GET /bug/a%0Aforged failed"]


async def test_an_answer_that_breaks_off_is_not_followed_by_a_second_one() -> None:
    app = create_service("Test", settings=SETTINGS, tortoise_orm=None, routers=[router])
    async with running(app) as client:
        response = await client.get("/broken")
    assert (response.status_code, response.text) == (200, "begun")


# Not a SQLite file that cannot be opened: aiosqlite then ends its thread after the test, on a loop that is closed.
async def test_a_service_whose_database_does_not_answer_lives_but_is_not_ready() -> None:
    started: list[bool] = []

    async def on_start() -> None:
        started.append(True)

    config = tortoise_config("postgres://u:s3cret@127.0.0.1:9/x", Tables("x", "limen_kit.fields", "none"))
    app = create_service("Test", settings=SETTINGS, tortoise_orm=config, routers=[], on_start=on_start)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*has no models")
        async with running(app) as client:
            assert started == [True]
            assert (await client.get("/healthz")).status_code == 200
            response = await client.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "not_ready")
    assert "s3cret" not in response.text
