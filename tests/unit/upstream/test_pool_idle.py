"""Idle connections are closed when their time is over, whatever the traffic, and not all of them in one turn."""

import asyncio
import heapq
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from calling import counts
from limen import Limits, Upstream
from limen.upstream.connection import Connection
from limen.upstream.network import Sockets
from limen.upstream.pool import Pool
from talk import Wire
from turning import timeless

KEEPALIVE = 4.0


class Clock(asyncio.SelectorEventLoop):
    """A loop whose timers go by ``now``; whatever else runs, runs at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.timers: list[tuple[float, int, asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        handle = asyncio.TimerHandle(self.now + delay, callback, args, self, context)
        heapq.heappush(self.timers, (self.now + delay, len(self.timers), handle))
        return handle

    def until(self, now: float) -> int:
        """Let the time pass, and return how many timers went off."""
        count = 0
        while self.timers and self.timers[0][0] <= now:
            self.now, _, handle = heapq.heappop(self.timers)
            if not handle.cancelled():
                count += 1
                handle._run()  # pyright: ignore[reportAttributeAccessIssue] - as the loop does
        self.now = now
        return count


class Loose(Pool):
    """A pool whose connections lead nowhere."""

    async def _connect(self, deadline: float | None) -> Connection:
        lost: Callable[[Connection], None] = self._lost
        connection = Connection(self.target, 4096, lost, timeless())
        connection.connection_made(Wire())
        return connection


@pytest.fixture
def clock() -> Iterator[Clock]:
    loop = Clock()
    yield loop
    loop.close()


def opened(clock: Clock, most: int, count: int) -> tuple[Pool, list[Connection]]:
    upstream = Upstream("svc", ["http://a"], limits=Limits(connections=most, keepalive=KEEPALIVE, lifetime=None))
    pool = Loose(upstream, upstream.addresses[0], Sockets(), lambda: None, clock=clock.time)

    async def open_all() -> list[Connection]:
        return [await pool.acquire(1) for _ in range(count)]

    return pool, clock.run_until_complete(open_all())


def aborted(connections: list[Connection]) -> int:
    return sum(wire.aborted for wire in map(wire_of, connections))


def wire_of(connection: Connection) -> Wire:
    wire: Wire = vars(connection)["_transport"]
    return wire


def test_those_that_nobody_needs_are_closed_while_the_newest_serves_on(clock: Clock) -> None:
    pool, connections = opened(clock, 60, 60)
    for connection in connections:
        pool.release(connection)
    looks = 0
    for second in range(1, 16):
        looks += clock.until(1000.0 + second)
        one = pool.idle()
        assert one is not None
        assert one is connections[-1]
        pool.release(one)
        assert counts(pool)[0] == (60 if second < KEEPALIVE else 1)
    assert aborted(connections) == 59
    # One timer, while something is idle: it looks as often as the time of one connection passes.
    assert looks <= 15 / KEEPALIVE + 1
    assert len(clock.timers) == 1


def test_nothing_is_looked_at_while_nothing_is_idle(clock: Clock) -> None:
    pool, connections = opened(clock, 2, 2)
    clock.until(2000.0)
    pool.release(connections[0])
    assert len(clock.timers) == 1
    clock.until(2000.0 + KEEPALIVE)
    assert counts(pool) == (0, 1, 0)
    assert clock.timers == []


def test_many_that_went_idle_one_by_one_do_not_take_a_look_each(clock: Clock) -> None:
    pool, connections = opened(clock, 200, 200)
    for connection in connections:
        clock.until(clock.now + 0.01)
        pool.release(connection)
    assert clock.until(clock.now + KEEPALIVE + 1) <= 6
    assert aborted(connections) == 200


def test_one_turn_closes_a_bounded_number(clock: Clock) -> None:
    pool, connections = opened(clock, 200, 200)
    for connection in connections:
        pool.release(connection)
    left = [200]
    while clock.timers:
        clock.now, _, handle = heapq.heappop(clock.timers)
        handle._run()  # pyright: ignore[reportAttributeAccessIssue] - as the loop does
        left.append(counts(pool)[0])
    assert left == [200, 136, 72, 8, 0]
    assert clock.now == 1000.0 + KEEPALIVE


def test_one_request_closes_a_bounded_number(clock: Clock) -> None:
    """As when the loop did not turn for a while: nobody has looked at those whose time is over."""
    pool, connections = opened(clock, 200, 200)
    for connection in connections:
        pool.release(connection)
    clock.now += KEEPALIVE
    closed: list[int] = []
    for _ in range(5):
        before = aborted(connections)
        assert pool.idle() is None
        closed.append(aborted(connections) - before)
    assert closed == [64, 64, 64, 8, 0]
    assert counts(pool) == (0, 0, 0)


def test_closing_the_pool_ends_the_looks(clock: Clock) -> None:
    pool, connections = opened(clock, 1, 1)
    pool.release(connections[0])
    clock.run_until_complete(pool.aclose())
    assert all(handle.cancelled() for _, _, handle in clock.timers)
