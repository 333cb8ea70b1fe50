"""The snapshot of a pool, and the wait until it is drained, for each way in which the last use can end."""

import asyncio
from dataclasses import asdict

import pytest

from calling import pool_for
from limen import Limits
from limen.upstream.connection import Connection
from limen.upstream.error import UpstreamError
from limen.upstream.pool import Pool
from limen.upstream.snapshot import UpstreamSnapshot
from talk import Wire
from turning import timeless


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let every pool open fake connections, once the event is set."""
    opens = asyncio.Event()

    async def connect(pool: Pool, deadline: float) -> Connection:
        await opens.wait()
        connection = Connection(pool.target, 4096, vars(Pool)["_lost"].__get__(pool), timeless())
        connection.connection_made(Wire())
        return connection

    monkeypatch.setattr(Pool, "_connect", connect)
    return opens


async def turns() -> None:
    """Let everything that can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_snapshot_is_plain_values_of_one_moment(gate: asyncio.Event) -> None:
    pool = pool_for("http://a", limits=Limits(connections=1))
    before = pool.snapshot()
    assert asdict(before) == {"name": "svc", "idle": 0, "busy": 0, "waiting": 0, "targets": (), "panic": False}
    assert before.drained
    first = asyncio.create_task(pool.acquire(10))
    await turns()
    assert pool.snapshot() == UpstreamSnapshot("svc", 0, 1, 0), "one that is being opened is busy"
    gate.set()
    connection = await first
    second = asyncio.create_task(pool.acquire(10))
    await turns()
    assert pool.snapshot() == UpstreamSnapshot("svc", 0, 1, 1)
    assert not pool.snapshot().drained
    pool.release(connection)
    pool.release(await second)
    assert pool.snapshot() == UpstreamSnapshot("svc", 1, 0, 0)
    assert before == UpstreamSnapshot("svc", 0, 0, 0)


async def test_nothing_in_use_is_drained_at_once() -> None:
    await pool_for("http://a").drained()


async def test_a_waiter_alone_keeps_a_snapshot_from_being_drained() -> None:
    assert not UpstreamSnapshot("svc", 0, 0, 1).drained
    assert not UpstreamSnapshot("svc", 0, 1, 0).drained


@pytest.mark.parametrize("how", ["released", "lost", "closed"])
async def test_the_last_in_use_drains_it(gate: asyncio.Event, how: str) -> None:
    gate.set()
    pool = pool_for("http://a", limits=Limits(connections=2))
    first, last = await pool.acquire(10), await pool.acquire(10)
    waiting = [asyncio.create_task(pool.drained()) for _ in range(2)]
    await turns()
    pool.release(first)
    await turns()
    assert not any(task.done() for task in waiting), "one is still in use"
    match how:
        case "released":
            pool.release(last)
        case "lost":
            last.connection_lost(None)
        case _:
            await pool.aclose()
    await asyncio.gather(*waiting)


async def test_one_that_does_not_open_drains_it(gate: asyncio.Event) -> None:
    pool = pool_for("http://a")
    opening = asyncio.create_task(pool.acquire(10))
    await turns()
    waiting = asyncio.create_task(pool.drained())
    await turns()
    opening.cancel()
    await waiting
    assert not gate.is_set()


async def test_a_place_that_passes_on_does_not_drain_it(gate: asyncio.Event) -> None:
    gate.set()
    pool = pool_for("http://a", limits=Limits(connections=1))
    held = await pool.acquire(10)
    second = asyncio.create_task(pool.acquire(10))
    await turns()
    waiting = asyncio.create_task(pool.drained())
    await turns()
    pool.release(held)
    again = await second
    await turns()
    assert not waiting.done()
    pool.release(again)
    await waiting


async def test_those_in_line_when_it_closes_leave_it_drained(gate: asyncio.Event) -> None:
    gate.set()
    pool = pool_for("http://a", limits=Limits(connections=1))
    await pool.acquire(10)
    second = asyncio.create_task(pool.acquire(10))
    await turns()
    waiting = asyncio.create_task(pool.drained())
    await turns()
    await pool.aclose()
    with pytest.raises(UpstreamError):
        await second
    await waiting


async def test_whoever_gives_up_waiting_leaves_nothing(gate: asyncio.Event) -> None:
    gate.set()
    pool = pool_for("http://a")
    held = await pool.acquire(10)
    waiting = asyncio.create_task(pool.drained())
    await turns()
    waiting.cancel()
    await turns()
    assert waiting.cancelled()
    pool.release(held)
    assert pool.snapshot().drained
    await pool.drained()
