"""Pooled connections over real sockets: kept, expired, gone stale, refused, and on Unix sockets."""

import asyncio
from pathlib import Path

import pytest

from calling import call, counts, pool_for
from limen import Limits
from limen.errors import Kind
from limen.testing import Conversation, ScriptedUpstream, saying
from limen.upstream.error import UpstreamError
from services import OK, ready
from serving import until
from shop_processes import free_ports


@pytest.mark.parametrize(("keepalive", "connections"), [(60, 1), (0, 3)])
async def test_an_idle_connection_serves_until_it_expires(keepalive: float, connections: int) -> None:
    async with ScriptedUpstream(ready) as server:
        pool = pool_for(server.url, limits=Limits(keepalive=keepalive))
        for _ in range(3):
            assert await (await call(pool)).read(9) == b"ok"
        assert server.connections == connections
        assert counts(pool) == (1, 0, 0)
        await pool.aclose()
        assert counts(pool) == (0, 0, 0)


async def test_a_connection_closed_by_the_service_while_idle_is_forgotten() -> None:
    async with ScriptedUpstream(saying(OK)) as server:
        pool = pool_for(server.url)
        for expected in (1, 2):
            assert await (await call(pool)).read(9) == b"ok"
            await until(lambda: counts(pool) == (0, 0, 0))
            assert server.connections == expected


async def test_bytes_on_an_idle_connection_end_it() -> None:
    late = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(OK)
        await late.wait()
        await conversation.say(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await conversation.reader.read()

    async with ScriptedUpstream(script, ready) as server:
        pool = pool_for(server.url)
        assert await (await call(pool)).read(9) == b"ok"
        late.set()
        await until(lambda: counts(pool) == (0, 0, 0))
        assert await (await call(pool)).read(9) == b"ok"
        assert server.connections == 2
        await pool.aclose()


async def test_a_connection_that_dies_on_its_second_use_says_that_it_was_reused() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(OK)
        await conversation.head()
        conversation.reset()

    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        assert await (await call(pool)).read(9) == b"ok"
        with pytest.raises(UpstreamError) as caught:
            await call(pool)
        error = caught.value
        assert (error.fault.kind, error.sent, error.reused, error.answered) == (
            Kind.UPSTREAM_CLOSED,
            True,
            True,
            False,
        )
        assert counts(pool) == (0, 0, 0)


async def test_a_connection_closed_at_once_is_a_fault_and_no_wait() -> None:
    async def script(conversation: Conversation) -> None:
        conversation.reset()

    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        connection = await pool.acquire(10)
        await until(lambda: connection.lost)
        pool.release(connection)
        with pytest.raises(UpstreamError, match="upstream_closed"):
            await call(pool)
        assert counts(pool) == (0, 0, 0)


async def test_a_refusal_says_where_and_that_nothing_was_sent() -> None:
    dead = f"http://127.0.0.1:{free_ports(1)[0]}"
    pool = pool_for(dead)
    with pytest.raises(UpstreamError) as caught:
        await call(pool)
    assert (caught.value.fault.kind, caught.value.sent) == (Kind.UPSTREAM_REFUSED, False)
    assert dead in caught.value.fault.cause
    assert counts(pool) == (0, 0, 0)


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    async with ScriptedUpstream(ready, path=path) as server:
        pool = pool_for(server.url)
        assert await (await call(pool)).read(9) == b"ok"
        assert b"host: localhost\r\n" in server.requests[0]
        await pool.aclose()
    pool = pool_for(f"unix:{path}.gone")
    with pytest.raises(UpstreamError, match="upstream_refused"):
        await call(pool)
