"""Deadlines on one coarse timer."""

import asyncio
import gc
import os
import time

import pytest

from limen.engines.direct.timers import Timer, Timers


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


class Waiting:
    """Remembers when its time had passed."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.done = asyncio.Event()

    def expired(self) -> None:
        self.times.append(asyncio.get_running_loop().time())
        self.done.set()


async def test_deadlines_pass_in_order_and_not_before_their_time() -> None:
    loop = asyncio.get_running_loop()
    timers = Timers(loop)
    late, early = Waiting(), Waiting()
    started = loop.time()
    Timer(timers).set(late, 0.15)
    Timer(timers).set(early, 0.05)
    assert repr(timers) == "<Timers 2 waiting>"
    await late.done.wait()
    assert early.times[0] >= started + 0.05
    assert late.times[0] >= started + 0.15
    assert early.times < late.times
    assert repr(timers) == "<Timers 0 waiting>"


async def test_a_new_deadline_replaces_the_old_one_and_clearing_ends_it() -> None:
    timers = Timers(asyncio.get_running_loop())
    renewed, cleared, last = Waiting(), Waiting(), Waiting()
    for_renewed, for_cleared = Timer(timers), Timer(timers)
    for_renewed.set(renewed, 0.05)
    for_cleared.set(cleared, 0.05)
    for_renewed.set(renewed, 30)
    for_cleared.clear()
    for_cleared.clear()
    Timer(timers).set(last, 0.1)
    await last.done.wait()
    assert renewed.times == cleared.times == []
    assert repr(timers) == "<Timers 1 waiting>"
    for_renewed.drop()
    assert repr(timers) == "<Timers 0 waiting>"


async def test_a_deadline_that_moved_is_kept_to_both_ways() -> None:
    """A later one waits for its own time; an earlier one does not wait for the look at the one before."""
    loop = asyncio.get_running_loop()
    timers = Timers(loop)
    later, earlier = Waiting(), Waiting()
    for_later, for_earlier = Timer(timers), Timer(timers)
    started = loop.time()
    for_later.set(later, 0.05)
    for_earlier.set(earlier, 30)
    for_later.set(later, 0.2)
    for_earlier.set(earlier, 0.1)
    await later.done.wait()
    assert later.times[0] >= started + 0.2
    assert earlier.times[0] >= started + 0.1
    assert earlier.times < later.times


async def test_an_owner_that_fails_takes_no_other_down() -> None:
    class Failing:
        def expired(self) -> None:
            raise ZeroDivisionError

    told: list[object] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.append(context.get("exception")))
    timers = Timers(loop)
    other = Waiting()
    Timer(timers).set(Failing(), 0.05)
    Timer(timers).set(other, 0.05)
    await other.done.wait()
    loop.set_exception_handler(before)
    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_a_timer_may_be_set_as_of_when_another_was() -> None:
    loop = asyncio.get_running_loop()
    timers = Timers(loop)
    first, second = Waiting(), Waiting()
    started = loop.time()
    one, other = Timer(timers), Timer(timers)
    one.set(first, 0.05)
    assert started <= one.set_at <= loop.time()
    other.set_as_of(one.set_at, second, 0.1)
    assert (other.set_at, other.deadline) == (one.set_at, one.set_at + 0.1)
    await second.done.wait()
    assert first.times[0] >= one.set_at + 0.05
    assert second.times[0] >= one.set_at + 0.1
    assert repr(timers) == "<Timers 0 waiting>"


async def test_a_connection_that_has_ended_is_known_to_nobody() -> None:
    timers = Timers(asyncio.get_running_loop())
    timer = Timer(timers)
    for seconds in (30, 0.05):
        timer.set(Waiting(), seconds)
        timer.drop()
    assert not gc.get_referrers(timer)


async def test_what_happens_before_the_last_look_counts() -> None:
    """A loop that was held up first reads what came meanwhile, which may renew or end the wait."""
    loop = asyncio.get_running_loop()
    timers = Timers(loop)
    saved, lost = Waiting(), Waiting()
    for_saved = Timer(timers)
    reading, writing = os.pipe()
    loop.add_reader(reading, for_saved.clear)
    for_saved.set(saved, 0.06)
    Timer(timers).set(lost, 0.06)
    loop.call_later(0.01, _hold_up, writing)
    await lost.done.wait()
    loop.remove_reader(reading)
    for end in (reading, writing):
        os.close(end)
    assert saved.times == []


def _hold_up(writing: int) -> None:
    """Keep the loop busy past the deadline, and have something arrive meanwhile."""
    os.write(writing, b"x")
    time.sleep(0.12)


async def test_deadlines_that_move_all_the_time_leave_nothing_behind() -> None:
    """Each timer is in one look at most, and looks are no more than the ticks ahead, however often a client sets it."""
    timers = Timers(asyncio.get_running_loop())
    made = [Timer(timers) for _ in range(10)]
    for number in range(20_000):
        timer = made[number % 10]
        timer.set(Waiting(), 60 - number % 1200 * 0.05)
        if not number % 3:
            timer.clear()
    looks = timers._looks  # pyright: ignore[reportPrivateUsage] - nothing public shows those that will find nobody
    assert sum(map(len, looks.values())) == 10
    assert len(looks) <= 60 / 0.05 + 2
    for timer in made:
        timer.drop()
    assert not any(looks.values())
