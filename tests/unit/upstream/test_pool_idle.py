"""Idle connections are closed when their time is over, whatever the traffic, and not all of them in one turn."""

import heapq
from collections.abc import Iterator

import pytest

from calling import counts
from clocked_pool import ClockedLoop, aborted, clocked_pool
from clocked_pool import opened as opened_of
from limen import Limits
from limen.upstream.connection import Connection
from limen.upstream.pool import Pool

KEEPALIVE = 4.0


@pytest.fixture
def clock() -> Iterator[ClockedLoop]:
    loop = ClockedLoop()
    yield loop
    loop.close()


def opened(clock: ClockedLoop, most: int, count: int) -> tuple[Pool, list[Connection]]:
    pool = clocked_pool(clock, Limits(connections=most, keepalive=KEEPALIVE, lifetime=None))
    return pool, opened_of(clock, pool, count)


def test_those_that_nobody_needs_are_closed_while_the_newest_serves_on(clock: ClockedLoop) -> None:
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


def test_nothing_is_looked_at_while_nothing_is_idle(clock: ClockedLoop) -> None:
    pool, connections = opened(clock, 2, 2)
    clock.until(2000.0)
    pool.release(connections[0])
    assert len(clock.timers) == 1
    clock.until(2000.0 + KEEPALIVE)
    assert counts(pool) == (0, 1, 0)
    assert clock.timers == []


def test_many_that_went_idle_one_by_one_do_not_take_a_look_each(clock: ClockedLoop) -> None:
    pool, connections = opened(clock, 200, 200)
    for connection in connections:
        clock.until(clock.now + 0.01)
        pool.release(connection)
    assert clock.until(clock.now + KEEPALIVE + 1) <= 6
    assert aborted(connections) == 200


def test_one_turn_closes_a_bounded_number(clock: ClockedLoop) -> None:
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


def test_one_request_closes_a_bounded_number(clock: ClockedLoop) -> None:
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


def test_closing_the_pool_ends_the_looks(clock: ClockedLoop) -> None:
    pool, connections = opened(clock, 1, 1)
    pool.release(connections[0])
    clock.run_until_complete(pool.aclose())
    assert all(handle.cancelled() for _, _, handle in clock.timers)
