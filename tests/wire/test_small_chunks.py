"""Long answers in tiny chunks, over sockets and TLS: all of it arrives, however slow the reader, however it ends."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from calling import call, counts, pool_of
from certificates import Authority
from limen import Tls, Upstream
from limen.testing import Conversation, ScriptedUpstream
from limen.upstream.pool import Pool
from serving import until

# Enough chunks for dozens of rounds of the scheduler, and more content than is buffered for a reader.
COUNT = 100_000
SIZE = 24 * COUNT
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * COUNT + b"0\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % SIZE + b"x" * SIZE


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[ScriptedUpstream, Pool]]:
    authority = Authority(tmp_path)

    async def script(conversation: Conversation) -> None:
        while True:
            head = await conversation.head()
            await conversation.say(SIZED if b"/sized" in head else CHUNKED)
            if b"/once" in head:
                return

    async with ScriptedUpstream(script, tls=authority.server() if request.param else None) as server:
        pool = pool_of(Upstream("svc", [server.url], tls=Tls(ca=authority.path) if request.param else None))
        yield server, pool
        await pool.aclose()


@pytest.mark.parametrize(("target", "size"), [(b"/chunked", COUNT), (b"/sized", SIZE)])
async def test_all_chunks_arrive_and_the_connection_serves_again(
    service: tuple[ScriptedUpstream, Pool], target: bytes, size: int
) -> None:
    server, pool = service
    for _ in range(3):
        assert await (await call(pool, target=target)).read(size) == b"x" * size
    assert server.connections == 1
    assert counts(pool) == (1, 0, 0)


async def test_a_service_that_closes_behind_its_answer_has_given_it(service: tuple[ScriptedUpstream, Pool]) -> None:
    _, pool = service
    for _ in range(3):
        assert await (await call(pool, target=b"/once")).read(COUNT) == b"x" * COUNT
        await until(lambda: counts(pool) == (0, 0, 0))


async def test_a_slow_reader_gets_all_chunks(service: tuple[ScriptedUpstream, Pool]) -> None:
    _, pool = service
    answer = await call(pool, target=b"/chunked")
    size = 0
    async for part in answer:
        size += len(part)
        for _ in range(3):
            await asyncio.sleep(0)
    assert size == COUNT
    assert counts(pool) == (1, 0, 0)


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_an_answer_that_is_given_up_ends_its_connection(
    service: tuple[ScriptedUpstream, Pool], turns: int
) -> None:
    _, pool = service
    answer = await call(pool, target=b"/chunked")
    for _ in range(turns):
        await asyncio.sleep(0)
    await answer.aclose()
    assert counts(pool)[1] == 0
    assert await (await call(pool, target=b"/chunked")).read(COUNT) == b"x" * COUNT
