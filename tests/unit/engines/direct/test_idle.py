"""Which connection makes room, and how much looking that takes: the time is the test's, the connections are stand-ins."""

import asyncio
from typing import cast

import pytest

from limen.engines.direct.idle import PAUSE, SHARE, Idle


class Clock:
    """Stands for the loop, of which only the time is asked for."""

    now = 1000.0

    def time(self) -> float:
        """Return the time that the test says it is."""
        return self.now


class One:
    """A connection; ``since`` None is a busy one."""

    def __init__(self, since: float | None) -> None:
        self.since = since
        self.gone = False

    def idle_since(self) -> float | None:
        """Tell since when."""
        return None if self.gone else self.since

    def give_way(self) -> None:
        """Note it."""
        self.gone = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def idle(clock: Clock) -> Idle:
    return Idle(cast("asyncio.AbstractEventLoop", clock))


def test_the_longest_idle_goes_first_and_busy_ones_stay(idle: Idle) -> None:
    ages = [One(float(since)) for since in (5, 3, 9, 1, 7)]
    connections = {*ages, One(None), One(None), cast("One", object())}  # the last stands for a WebSocket
    for since in (1, 3, 5, 7, 9):
        assert idle.make_room(connections)
        assert [one.since for one in ages if one.gone] == [each for each in (5, 3, 9, 1, 7) if each <= since]
        connections -= {one for one in ages if one.gone}
    assert not idle.make_room(connections)


def test_one_that_has_become_busy_since_the_search_stays(idle: Idle) -> None:
    ones = [One(float(since)) for since in range(10 * SHARE)]
    assert idle.make_room(set(ones))
    ones[1].since = None
    ones[2].since = 99999.0  # idle again, and not for long
    assert idle.make_room(set(ones))
    assert [index for index, one in enumerate(ones) if one.gone] == [0, 3]


@pytest.mark.parametrize("size", [1, 10, 100, 1_000, 10_000])
def test_a_flood_pays_for_so_many_looks_each_when_all_are_idle(idle: Idle, clock: Clock, size: int) -> None:
    """Each newcomer takes a place and is idle itself; no time passes."""
    connections = dict.fromkeys(One(float(since)) for since in range(size))
    floods = 3 * size
    for number in range(floods):
        newcomer = One(float(size + number))
        connections[newcomer] = None
        assert idle.make_room(connections.keys())
        if (oldest := next(iter(connections))).gone:
            del connections[oldest]
        assert len(connections) == size
    assert idle.looks <= (SHARE + 2) * floods + 2 * size


@pytest.mark.parametrize("size", [1_000, 10_000])
def test_a_flood_pays_for_so_many_looks_each_when_nobody_is_idle(idle: Idle, clock: Clock, size: int) -> None:
    connections = {One(None) for _ in range(size)}
    floods = size
    for _ in range(floods):
        assert not idle.make_room(connections)
    assert idle.looks <= (SHARE + 2) * floods + 2 * size
    # However few come: once some time has passed, one that has become idle is found.
    next(iter(connections)).since = 1.0
    clock.now += 2 * PAUSE
    assert idle.make_room(connections)


def test_the_log_says_so_once_a_minute(idle: Idle, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(120):
        clock.now += 1.0
        assert idle.make_room({One(1.0)})
    assert caplog.text.count("1 client connections: those that are idle for the longest make room") == 2
