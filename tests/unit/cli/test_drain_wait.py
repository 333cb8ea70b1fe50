"""The wait before a stop, signal by signal, with a clock that is moved by hand."""

import pytest

from limen.cli.drain import DrainWait


def test_it_begins_at_the_first_signal_and_ends_with_its_time() -> None:
    now = 100.0
    wait = DrainWait(5, lambda: now)
    assert (wait.begun, wait.over) == (False, False)
    now += 50  # time before the signal does not count
    assert wait.begin()
    assert (wait.begun, wait.over) == (True, False)
    now += 4.9
    assert not wait.over
    now += 0.1
    assert wait.over
    assert repr(wait) == "<DrainWait 5 s over>"


@pytest.mark.parametrize(("seconds", "signals", "waits"), [(0, 1, [False]), (5, 3, [True, False, False])])
def test_only_the_first_signal_waits(seconds: int, signals: int, waits: list[bool]) -> None:
    wait = DrainWait(seconds, lambda: 0.0)
    assert [wait.begin() for _ in range(signals)] == waits
