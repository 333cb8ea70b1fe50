"""A retired pool over real sockets: its users finish, and it keeps no connection."""

import asyncio

import pytest

from calling import call, counts, pool_for
from limen.testing import Conversation, ScriptedUpstream
from limen.upstream.error import UpstreamError
from limen.upstream.pool import Pool
from services import OK, ready
from serving import until


async def test_idle_connections_end_and_later_ones_serve_once() -> None:
    async with ScriptedUpstream(ready) as server:
        pool, in_use = pool_for(server.url), set[Pool]()
        assert await (await call(pool)).read(9) == b"ok"
        assert counts(pool) == (1, 0, 0)
        pool.retire(in_use)
        assert (counts(pool), in_use) == ((0, 0, 0), set())
        for _ in range(2):
            connection = await pool.acquire(10)
            assert in_use == {pool}
            pool.release(connection)
            assert (counts(pool), in_use) == ((0, 0, 0), set())
        assert server.connections == 3


async def test_an_exchange_that_runs_is_finished() -> None:
    rest = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(OK[:-1])
        await rest.wait()
        await conversation.say(OK[-1:])
        assert await conversation.reader.read() == b""  # the gateway closes it

    async with ScriptedUpstream(script) as server:
        pool, in_use = pool_for(server.url), set[Pool]()
        answer = await call(pool)
        pool.retire(in_use)
        assert in_use == {pool}
        rest.set()
        assert await answer.read(9) == b"ok"
        await until(lambda: not in_use)
        assert counts(pool) == (0, 0, 0)


async def test_connections_in_use_can_be_closed() -> None:
    async with ScriptedUpstream(ready) as server:
        pool, in_use = pool_for(server.url), set[Pool]()
        connection = await pool.acquire(10)
        pool.retire(in_use)
        await pool.aclose()
        assert (connection.reusable, in_use) == (False, set())


async def test_a_retired_pool_that_cannot_connect_is_not_in_use() -> None:
    async with ScriptedUpstream(ready) as server:
        url = server.url
    pool, in_use = pool_for(url), set[Pool]()
    pool.retire(in_use)
    with pytest.raises(UpstreamError):
        await pool.acquire(10)
    assert (counts(pool), in_use) == ((0, 0, 0), set())
