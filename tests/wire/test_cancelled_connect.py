"""A connect that is cancelled leaves nothing behind, at whatever moment that is."""

import asyncio
import gc
from collections.abc import Generator

import pytest

from calling import pool_for
from limen.testing import ScriptedUpstream, saying
from limen.upstream.connection import Connection
from serving import until


@pytest.fixture(scope="module", autouse=True)
def no_collector_and_no_earlier_objects() -> Generator[None]:
    """As ``no_collector`` does, once for all: to collect and count what other tests have made takes most of the time."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def count_connections() -> int:
    return sum(isinstance(one, Connection) for one in gc.get_objects())


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancelled_connect_leaves_nothing(turns: int) -> None:
    async with ScriptedUpstream(saying(b"")) as upstream:
        pool = pool_for(upstream.url)
        before = count_connections()
        task = asyncio.create_task(pool.acquire(5.0))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            pool.release(task.result())
        del task
        await pool.aclose()
        await until(lambda: count_connections() <= before)
