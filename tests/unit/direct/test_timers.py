"""Deadlines on one coarse timer."""

import asyncio
import os
import time

import pytest

from limen.direct.timers import Timers


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
    timers.set(late, 0.15)
    timers.set(early, 0.05)
    assert repr(timers) == "<Timers 2 waiting>"
    await late.done.wait()
    assert early.times[0] >= started + 0.05
    assert late.times[0] >= started + 0.15
    assert early.times < late.times
    assert repr(timers) == "<Timers 0 waiting>"


async def test_a_new_deadline_replaces_the_old_one_and_clearing_ends_it() -> None:
    timers = Timers(asyncio.get_running_loop())
    renewed, cleared, last = Waiting(), Waiting(), Waiting()
    for owner in (renewed, cleared):
        timers.set(owner, 0.05)
    timers.set(renewed, 30)
    timers.clear(cleared)
    timers.clear(cleared)
    timers.set(last, 0.1)
    await last.done.wait()
    assert renewed.times == cleared.times == []
    assert repr(timers) == "<Timers 1 waiting>"
    timers.clear(renewed)


async def test_what_happens_before_the_last_look_counts() -> None:
    """A loop that was held up first reads what came meanwhile, which may renew or end the wait."""
    loop = asyncio.get_running_loop()
    timers = Timers(loop)
    saved, lost = Waiting(), Waiting()
    reading, writing = os.pipe()
    loop.add_reader(reading, lambda: timers.clear(saved))
    timers.set(saved, 0.06)
    timers.set(lost, 0.06)
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
