"""A connection that is older than ``Limits(lifetime=)`` serves no further request, however busy it is."""

import math
from collections.abc import Iterator
from random import Random

import pytest

from calling import counts
from clocked_pool import ClockedLoop, aborted, clocked_pool, opened, wire_of
from limen import Limits
from limen.upstream.connection import Connection
from limen.upstream.pool import Pool
from talk import RecordedAnswer

LIFETIME = 15.0
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Drawn(Random):
    """Draws what it is told to."""

    def __init__(self, *numbers: float) -> None:
        super().__init__()
        self.numbers = [*numbers]

    def random(self) -> float:
        return self.numbers.pop(0)


@pytest.fixture
def clock() -> Iterator[ClockedLoop]:
    loop = ClockedLoop()
    yield loop
    loop.close()


def pool_with(clock: ClockedLoop, lifetime: float | None, *drawn: float, keepalive: float = 4.0) -> Pool:
    limits = Limits(connections=8, keepalive=keepalive, lifetime=lifetime)
    return clocked_pool(clock, limits, Drawn(*drawn, *[0.0] * 8))


def serves(pool: Pool) -> Connection | None:
    """Let the next request be served by the connection that is idle, if there is one."""
    connection = pool.idle()
    if connection is not None:
        connection.start(RecordedAnswer(), b"GET", b"request", whole=True)
        connection.data_received(OK)
        pool.release(connection)
    return connection


def test_a_busy_connection_ends_when_it_comes_back(clock: ClockedLoop) -> None:
    pool = pool_with(clock, LIFETIME)
    [connection] = opened(clock, pool)
    pool.release(connection)
    for second in range(1, 15):
        clock.until(1000.0 + second)
        assert serves(pool) is connection
    clock.until(1014.75)
    assert pool.idle() is connection
    clock.until(1000.0 + LIFETIME)
    assert aborted([connection]) == 0
    pool.release(connection)
    assert (aborted([connection]), counts(pool)) == (1, (0, 0, 0))


def test_one_whose_life_ends_while_it_is_idle_is_not_taken(clock: ClockedLoop) -> None:
    pool = pool_with(clock, LIFETIME)
    [connection] = opened(clock, pool)
    clock.until(1014.0)
    pool.release(connection)
    clock.now = 1015.0  # nobody has looked
    assert pool.idle() is None
    assert (aborted([connection]), counts(pool)) == (1, (0, 0, 0))


def test_idle_ones_are_closed_at_the_end_of_their_lives(clock: ClockedLoop) -> None:
    pool = pool_with(clock, LIFETIME, keepalive=600.0)
    older = opened(clock, pool, 2)
    clock.until(1005.0)
    [younger] = opened(clock, pool)
    for connection in (younger, *older):
        pool.release(connection)
    clock.until(1014.9)
    assert counts(pool)[0] == 3
    clock.until(1015.5)
    assert (aborted(older), aborted([younger])) == (2, 0)
    assert pool.idle() is younger
    pool.release(younger)
    clock.until(1020.5)
    assert (aborted([younger]), counts(pool)) == (1, (0, 0, 0))
    clock.until(2000.0)
    assert clock.timers == []


def test_an_answer_that_streams_is_not_cut(clock: ClockedLoop) -> None:
    pool = pool_with(clock, LIFETIME)
    first, second = opened(clock, pool, 2)
    answer = RecordedAnswer()
    first.start(answer, b"GET", b"request", whole=True)
    first.data_received(OK[:-1])
    pool.release(second)
    clock.until(2000.0)
    assert (aborted([first]), aborted([second])) == (0, 1)
    first.data_received(OK[-1:])
    assert (answer.ended, answer.content) == (True, b"ok")
    pool.release(first)
    assert aborted([first]) == 1


def test_those_opened_together_do_not_end_together(clock: ClockedLoop) -> None:
    pool = pool_with(clock, 100.0, 0.0, 0.5, 0.999)
    ends = [connection.expires_at - 1000.0 for connection in opened(clock, pool, 3)]
    assert ends == pytest.approx([100.0, 95.0, 90.01])


def test_none_is_no_bound(clock: ClockedLoop) -> None:
    pool = pool_with(clock, None)
    [connection] = opened(clock, pool)
    assert connection.expires_at == math.inf
    pool.release(connection)
    for second in range(1, 1000):
        clock.until(1000.0 + 3 * second)
        assert serves(pool) is connection


def test_without_any_life_each_connection_serves_one_request(clock: ClockedLoop) -> None:
    pool = pool_with(clock, 0.0)
    [connection] = opened(clock, pool)
    assert not wire_of(connection).aborted
    pool.release(connection)
    assert (aborted([connection]), counts(pool)) == (1, (0, 0, 0))
