"""A clock that moves an event loop: in order, at once, and for nobody else."""

import asyncio
from collections.abc import Coroutine
from time import monotonic

import pytest
import uvloop

from limen.testing import Clock
from limen.testing import clock as module
from limen.testing.clock import RUNS, STANDS


async def noted(said: list[str], name: str, clock: Clock, begun: float, *waits: float) -> None:
    for seconds in waits:
        await asyncio.sleep(seconds)
        said.append(f"{name} {clock.monotonic() - begun:.0f}")


def run(clock: Clock, test: Coroutine[object, object, None]) -> None:
    """Run ``test``, a coroutine, in a loop that the clock moves."""

    async def main() -> None:
        with clock.controlling(asyncio.get_running_loop()):
            await test

    asyncio.run(main())


def test_what_is_due_happens_in_its_order_and_at_its_time() -> None:
    clock, said = Clock(), list[str]()

    async def test() -> None:
        begun = clock.monotonic()
        tasks = [
            asyncio.create_task(noted(said, name, clock, begun, *waits))
            for name, waits in (("a", (10, 10, 10)), ("b", (15, 16)), ("c", (3600,)))
        ]
        await clock.advance(12)
        assert said == ["a 10"]
        await clock.advance(20)
        assert said == ["a 10", "b 15", "a 20", "a 30", "b 31"]
        await clock.advance(3600)
        assert said[5:] == ["c 3600"]
        await asyncio.gather(*tasks)

    real = monotonic()
    run(clock, test())
    assert monotonic() - real < 3600


def test_both_clocks_and_the_loop_go_together() -> None:
    clock = Clock(1000.0)

    async def test() -> None:
        before = clock.now(), clock.monotonic(), asyncio.get_running_loop().time()
        await clock.advance(100)
        after = clock.now(), clock.monotonic(), asyncio.get_running_loop().time()
        for one, other in zip(before, after, strict=True):
            assert 100 <= other - one <= 100 + 2 * RUNS
        assert 1000 <= before[0] <= 1000 + RUNS

    run(clock, test())


def test_short_waits_end_by_themselves_and_long_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    real = 1000.0
    monkeypatch.setattr(module, "monotonic", lambda: real)
    clock = Clock()

    async def turns() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def test() -> None:
        nonlocal real
        short, long = asyncio.create_task(asyncio.sleep(0.2)), asyncio.create_task(asyncio.sleep(1))
        await turns()
        assert (short.done(), long.done()) == (False, False)
        real += STANDS  # the machine is very slow
        await turns()
        assert (short.done(), long.done()) == (True, False)
        await clock.advance(1)
        assert long.done()
        forgotten = asyncio.create_task(asyncio.sleep(10))
        await turns()
        real += STANDS + 10
        await turns()
        assert forgotten.done()

    run(clock, test())


def test_timers_of_before_and_what_is_left_keep_to_real_time() -> None:
    async def main() -> None:
        loop, clock = asyncio.get_running_loop(), Clock()
        before, left = loop.time(), asyncio.Event()
        async with asyncio.timeout(30):
            with clock.controlling(loop):
                loop.call_later(3600.05, left.set)
                await clock.advance(3600)
                assert not left.is_set()
            assert loop.time() - before < 3600
            await left.wait()

    asyncio.run(main())


def test_what_never_waits_is_an_error() -> None:
    clock = Clock()

    running = True

    def busy() -> None:
        if running:
            asyncio.get_running_loop().call_soon(busy)

    async def test() -> None:
        nonlocal running
        busy()
        with pytest.raises(RuntimeError, match="still runs without waiting"):
            await clock.advance(1)
        running = False

    run(clock, test())


def test_wrong_uses_are_refused() -> None:
    clock = Clock()

    async def test() -> None:
        with pytest.raises(ValueError, match="does not go back"):
            await clock.advance(-1)
        with pytest.raises(RuntimeError, match="in use"), clock.controlling(asyncio.get_running_loop()):
            pass

    run(clock, test())
    with pytest.raises(RuntimeError, match="moves no gateway in this event loop"):
        asyncio.run(clock.advance(1))

    async def other() -> None:
        with pytest.raises(TypeError, match="uvloop keeps its own time"), clock.controlling(asyncio.get_running_loop()):
            pass

    uvloop.run(other())
