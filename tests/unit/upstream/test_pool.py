"""The pool's book-keeping: bounds, turns, and who is next. ``pool.snapshot()`` is the oracle; the connections are fakes."""

import asyncio
from collections.abc import Callable

import pytest

from calling import pool_for
from limen import Limits
from limen.errors import Kind
from limen.upstream.connection import Connection
from limen.upstream.error import UpstreamError
from limen.upstream.pool import Pool
from limen.upstream.target import Target
from talk import RecordedAnswer, Wire
from turning import timeless


class Network:
    """Opens fake connections; targets in ``down`` refuse. Nothing opens while ``gate`` is closed."""

    def __init__(self) -> None:
        self.opened: list[Connection] = []
        self.down: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def connect(self, target: Target, on_lost: Callable[[Connection], None]) -> Connection:
        await self.gate.wait()
        if target.url in self.down:
            raise ConnectionRefusedError("down")
        connection = Connection(target, 4096, on_lost, timeless())
        connection.connection_made(Wire())
        self.opened.append(connection)
        return connection


@pytest.fixture
async def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network()

    async def connect(pool: Pool, deadline: float) -> Connection:
        return await made.connect(pool.target, vars(Pool)["_lost"].__get__(pool))

    monkeypatch.setattr(Pool, "_connect", connect)
    return made


def pool_with(*, connections: int = 1, waiting: int = 256) -> Pool:
    return pool_for("http://a", Limits(connections=connections, waiting=waiting, keepalive=4))


def state(pool: Pool) -> tuple[int, int, int]:
    """Return how many are idle, busy and waiting."""
    now = pool.snapshot()
    return now.idle, now.busy, now.waiting


async def turns() -> None:
    """Let everything that can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_last_in_is_the_first_out(network: Network) -> None:
    pool = pool_with(connections=2)
    first, second = await pool.acquire(1), await pool.acquire(1)
    pool.release(first)
    pool.release(second)
    assert state(pool) == (2, 0, 0)
    assert pool.idle() is second
    assert await pool.acquire(1) is first
    assert pool.idle() is None
    assert state(pool) == (0, 2, 0)
    assert len(network.opened) == 2


async def test_a_target_that_refuses_is_a_fault_that_says_so(network: Network) -> None:
    pool = pool_with(connections=2)
    await pool.acquire(1)
    network.down.add("http://a")
    with pytest.raises(UpstreamError) as caught:
        await pool.acquire(1)
    assert caught.value.fault.kind is Kind.UPSTREAM_REFUSED
    assert "down" in caught.value.fault.cause
    assert not caught.value.sent
    assert state(pool) == (0, 1, 0)


async def test_the_line_is_first_in_first_out(network: Network) -> None:
    pool = pool_with()
    connection = await pool.acquire(1)
    served: list[int] = []

    async def caller(number: int) -> None:
        mine = await pool.acquire(5)
        served.append(number)
        await asyncio.sleep(0)
        pool.release(mine)

    callers = [asyncio.create_task(caller(n)) for n in range(5)]
    await turns()
    assert state(pool) == (0, 1, 5)
    pool.release(connection)
    await asyncio.gather(*callers)
    assert served == [0, 1, 2, 3, 4]
    assert state(pool) == (1, 0, 0)
    assert len(network.opened) == 1


async def test_nobody_overtakes_those_in_line(network: Network) -> None:
    pool = pool_with()
    connection = await pool.acquire(1)
    waiting = asyncio.create_task(pool.acquire(5))
    await turns()
    pool.release(connection)
    # The place is promised, though the one in line has not run yet.
    assert pool.idle() is None
    late = asyncio.create_task(pool.acquire(5))
    assert await waiting is connection
    assert not late.done()
    pool.release(connection)
    assert await late is connection
    assert len(network.opened) == 1


async def test_a_full_line_refuses_at_once(network: Network) -> None:
    pool = pool_with(waiting=1)
    connection = await pool.acquire(1)
    waiting = asyncio.create_task(pool.acquire(5))
    await turns()
    with pytest.raises(UpstreamError) as caught:
        await pool.acquire(5)
    assert caught.value.fault.kind is Kind.POOL_EXHAUSTED
    assert caught.value.fault.cause == "<Pool svc http://a 0 idle 1 busy 1 waiting>"
    pool.release(connection)
    assert await waiting is connection


async def test_waiting_too_long_is_a_fault_and_frees_the_place_in_line(network: Network) -> None:
    pool = pool_with()
    await pool.acquire(1)
    with pytest.raises(UpstreamError) as caught:
        await pool.acquire(0.01)
    assert caught.value.fault.kind is Kind.POOL_EXHAUSTED
    assert state(pool) == (0, 1, 0)


async def test_leaving_the_line_keeps_the_order_of_the_others(network: Network) -> None:
    pool = pool_with()
    connection = await pool.acquire(1)
    first, second, third = (asyncio.create_task(pool.acquire(5)) for _ in range(3))
    await turns()
    second.cancel()
    pool.release(connection)
    assert await first is connection
    pool.release(connection)
    assert await third is connection
    assert second.cancelled()


async def test_a_place_promised_to_one_who_leaves_goes_to_the_next(network: Network) -> None:
    pool = pool_with()
    connection = await pool.acquire(1)
    first, second = (asyncio.create_task(pool.acquire(5)) for _ in range(2))
    await turns()
    pool.release(connection)
    first.cancel()
    assert await second is connection
    assert first.cancelled()
    assert state(pool) == (0, 1, 0)


async def test_a_failed_opening_passes_the_place_on(network: Network) -> None:
    pool = pool_with()
    network.gate.clear()
    network.down.add("http://a")
    first = asyncio.create_task(pool.acquire(5))
    await turns()
    second = asyncio.create_task(pool.acquire(5))
    await turns()
    assert state(pool) == (0, 1, 1)
    network.gate.set()
    for task in (first, second):
        with pytest.raises(UpstreamError, match="upstream_refused"):
            await task
    assert state(pool) == (0, 0, 0)


async def test_a_cancelled_opening_passes_the_place_on(network: Network) -> None:
    pool = pool_with()
    network.gate.clear()
    first, second = (asyncio.create_task(pool.acquire(5)) for _ in range(2))
    await turns()
    first.cancel()
    network.gate.set()
    assert (await second).target.url == "http://a"
    assert state(pool) == (0, 1, 0)


async def test_opening_too_long_is_a_connect_timeout(network: Network) -> None:
    pool = pool_with()
    network.gate.clear()
    with pytest.raises(UpstreamError) as caught:
        await pool.acquire(0.01)
    assert (caught.value.fault.kind, caught.value.sent) == (Kind.CONNECT_TIMEOUT, False)
    assert state(pool) == (0, 0, 0)


async def test_what_is_out_of_step_is_not_kept_and_frees_one_place_though_given_back_twice(
    network: Network,
) -> None:
    pool = pool_with()
    unfinished = await pool.acquire(1)
    unfinished.start(RecordedAnswer(), b"GET", b"request", whole=True)
    pool.release(unfinished)
    assert state(pool) == (0, 0, 0)
    unfinished = await pool.acquire(1)
    unfinished.start(RecordedAnswer(), b"GET", b"request", whole=True)
    first, second = (asyncio.create_task(pool.acquire(5)) for _ in range(2))
    await turns()
    pool.release(unfinished)
    served = await first
    pool.release(unfinished)
    await turns()
    assert not second.done()
    assert state(pool) == (0, 1, 1)
    pool.release(served)
    assert await second is served


async def test_a_connection_lost_while_idle_or_busy_is_forgotten(network: Network) -> None:
    pool = pool_with()
    connection = await pool.acquire(1)
    pool.release(connection)
    connection.connection_lost(None)
    assert state(pool) == (0, 0, 0)
    connection = await pool.acquire(1)
    waiting = asyncio.create_task(pool.acquire(5))
    await turns()
    connection.connection_lost(ConnectionResetError())
    assert await waiting is not connection
    pool.release(connection)
    assert state(pool) == (0, 1, 0)


async def test_closing_ends_idle_and_busy_and_keeps_nothing_after(network: Network) -> None:
    pool = pool_with(connections=3)
    idle, busy = await pool.acquire(1), await pool.acquire(1)
    seen = RecordedAnswer()
    busy.start(seen, b"GET", b"request", whole=True)
    pool.release(idle)
    await pool.aclose()
    assert (seen.kind, seen.cause) == (Kind.UPSTREAM_CLOSED, "the gateway is shutting down")
    assert state(pool) == (0, 0, 0)
    with pytest.raises(UpstreamError):
        await pool.acquire(1)
    assert state(pool) == (0, 0, 0)


async def test_closing_ends_those_in_line_at_once(network: Network) -> None:
    pool = pool_with()
    await pool.acquire(5)
    waiting = asyncio.create_task(pool.acquire(5))
    await turns()
    assert state(pool) == (0, 1, 1)
    await pool.aclose()
    with pytest.raises(UpstreamError) as refused:
        await waiting
    assert refused.value.fault.kind is Kind.SHUT_DOWN
    assert len(network.opened) == 1
