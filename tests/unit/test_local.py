"""The gateway's own endpoints: what is nobody's mistake is not told as one."""

import asyncio
import logging

import pytest
from fastapi import Request

from limen import Gateway
from serving import serving

HALF = b"POST /count HTTP/1.1\r\nhost: gateway\r\ncontent-length: 1000\r\n\r\nhalf"


async def test_a_client_that_leaves_before_its_body_is_whole_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    app = Gateway()
    begun, ended = asyncio.Event(), asyncio.Event()

    @app.post("/count")
    async def count(request: Request) -> int:
        begun.set()
        try:
            return len(await request.body())
        finally:
            ended.set()

    del count
    with caplog.at_level(logging.INFO):
        async with serving(app) as gateway:
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(HALF)
            await begun.wait()
            writer.close()
            await ended.wait()
    said = [record.getMessage() for record in caplog.records if record.name == "limen.local"]
    assert said == ["POST /count: the client left before its body was whole"]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
