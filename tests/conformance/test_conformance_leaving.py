"""Clients that leave at the two stages no scripted service can hold: an ``after`` hook that runs, a connection not yet open.

Whatever the request held is freed then, not when a time runs out: the times here are far beyond the test's own.
"""

import asyncio
import logging

import pytest
from pydantic import BaseModel

from conformance import json_answer
from engines import Engine
from limen import Gateway, Timeouts, Upstream, anyone
from limen.testing import ScriptedUpstream, drained, flush_log, saying, snapshot
from serving import serving, until

PATIENT = Timeouts(connect=300, first_byte=300, idle=300)
ASK = b"GET /x HTTP/1.1\r\nhost: g\r\n\r\n"


class Account(BaseModel):
    """What the service answers."""

    id: int


def gone(caplog: pytest.LogCaptureFixture) -> bool:
    """Tell whether the access log says, once, that the client left."""
    flush_log()
    lines = [record.getMessage() for record in caplog.records if record.name == "limen.access"]
    assert len(lines) < 2, lines
    return bool(lines) and "GET /x 499 " in lines[0] and "code=client_closed" in lines[0]


@pytest.mark.parametrize("reset", [False, True], ids=["leaves", "resets"])
async def test_a_client_that_leaves_during_a_hook_frees_everything(
    engine: Engine, reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "limen.access")
    entered, ended = asyncio.Event(), asyncio.Event()

    async def hook(account: Account) -> Account:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return account

    async with ScriptedUpstream(saying(*[json_answer(b'{"id": 5}')] * 2)) as upstream:
        app = Gateway()

        @app.get("/x", upstream=Upstream("svc", [upstream.url], timeouts=PATIENT), allow=anyone, after=hook)
        def stub() -> Account: ...

        del stub
        async with serving(app, engine) as gateway:
            before = len(asyncio.all_tasks())
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(ASK)
            await entered.wait()
            if reset:
                writer.transport.abort()
            else:
                writer.close()
            await ended.wait()
            await until(lambda: gone(caplog))
            await drained(app)
            # The scripted service has one conversation that goes on.
            await until(lambda: len(asyncio.all_tasks()) <= before + 1)


@pytest.mark.parametrize("reset", [False, True], ids=["leaves", "resets"])
async def test_a_client_that_leaves_during_connect_frees_everything(
    engine: Engine, reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The service takes the connection and says nothing, so that the handshake of TLS never ends."""
    caplog.set_level(logging.INFO, "limen.access")
    greeted, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        greeted.set()
        while await reader.read(65536):
            pass
        left.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    app = Gateway()
    behind = Upstream("svc", [f"https://localhost:{port}"], timeouts=PATIENT)
    app.forward("/x", upstream=behind, allow=anyone)
    async with server, serving(app, engine) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(ASK)
        await greeted.wait()
        assert snapshot(app).busy == 1
        if reset:
            writer.transport.abort()
        else:
            writer.close()
        await left.wait()
        await until(lambda: gone(caplog))
        await drained(app)
