"""The queue of heavy validations: one in each turn of the loop, fair, bounded, and cancelled work leaves it."""

import asyncio
import json
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limen.fairness.validations import (
    LIGHT,
    LONG,
    MOST_BYTES,
    MOST_WAITING,
    NOT_DONE,
    REST,
    MostValues,
    NotDone,
    Validations,
    heavy,
)


class Counter:
    """Counts the turns of the loop, and notes in which one something ran."""

    def __init__(self) -> None:
        self.turn = 0
        self.ran: list[tuple[int, object]] = []
        self._handle = asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self.turn += 1
        self._handle = asyncio.get_running_loop().call_soon(self._next)

    def work(self, name: object) -> Callable[[], object]:
        def run() -> object:
            self.ran.append((self.turn, name))
            return name

        return run

    def names(self) -> list[object]:
        return [name for _, name in self.ran]

    def close(self) -> None:
        self._handle.cancel()


async def asked(validations: Validations, counter: Counter, *sizes: int) -> list[asyncio.Future[object]]:
    futures = [validations.ask(size, counter.work((number, size))) for number, size in enumerate(sizes)]
    return [future for future in futures if future is not None]


async def test_one_runs_in_each_turn_and_others_are_served_between() -> None:
    validations, counter = Validations(), Counter()
    assert await asyncio.gather(*await asked(validations, counter, 1, 1, 1, 1, 1, 1)) == [(n, 1) for n in range(6)]
    counter.close()
    at = [turn for turn, _ in counter.ran]
    assert len(set(at)) == 6


async def test_work_that_is_not_done_keeps_its_place_and_has_another_turn() -> None:
    validations, counter = Validations(), Counter()
    left = [3]

    def work() -> int | NotDone:
        counter.work("step")()
        left[0] -= 1
        return NOT_DONE if left[0] else 7

    asked = validations.ask(5, work)
    other = validations.ask(5, counter.work("other"))
    assert asked is not None
    assert other is not None
    assert await asyncio.gather(asked, other) == [7, "other"]
    counter.close()
    assert counter.names() == ["step", "step", "step", "other"]
    assert len({turn for turn, _ in counter.ran}) == 4
    assert repr(validations) == "<Validations 0 waiting 0 bytes>"


async def test_who_gives_up_between_two_steps_leaves_the_line() -> None:
    validations = Validations()
    steps: list[int] = []
    begun = asyncio.Event()

    def work() -> int | NotDone:
        steps.append(1)
        begun.set()
        return NOT_DONE

    asked = validations.ask(5, work)
    assert asked is not None
    await begun.wait()
    asked.cancel()
    await asyncio.sleep(0)
    assert repr(validations) == "<Validations 0 waiting 0 bytes>"
    ran = len(steps)
    assert await asyncio.gather(*filter(None, [validations.ask(1, lambda: 1)])) == [1]
    assert len(steps) == ran


async def test_the_smallest_goes_first_and_every_fourth_turn_is_the_oldests() -> None:
    validations, counter = Validations(), Counter()
    await asyncio.gather(*await asked(validations, counter, 90, 5, 4, 3, 2, 80, 1))
    counter.close()
    assert counter.names() == [(6, 1), (4, 2), (3, 3), (0, 90), (2, 4), (1, 5), (5, 80)]


async def test_who_gives_up_leaves_the_line_and_its_bytes() -> None:
    validations, counter = Validations(), Counter()
    first, second, third = await asked(validations, counter, 10, 20, 30)
    second.cancel()
    third.cancel()
    assert await first == (0, 10)
    for _ in range(10):
        await asyncio.sleep(0)  # turns in which it could have run
    counter.close()
    assert counter.names() == [(0, 10)]
    assert repr(validations) == "<Validations 0 waiting 0 bytes>"


async def test_the_line_is_bounded_in_number_and_in_bytes() -> None:
    validations, counter = Validations(), Counter()
    waiting = await asked(validations, counter, *[1] * (MOST_WAITING + 5))
    assert len(waiting) == MOST_WAITING
    validations.close()
    waiting = await asked(validations, counter, MOST_BYTES // 2, MOST_BYTES // 2, 1)
    assert len(waiting) == 2
    validations.close()
    assert all(one.cancelled() for one in waiting)
    counter.close()
    assert counter.names() == []
    assert repr(validations) == "<Validations 0 waiting 0 bytes>"


async def test_a_failure_is_its_own_and_the_line_goes_on() -> None:
    def fail() -> object:
        raise RuntimeError("a bug")

    validations, counter = Validations(), Counter()
    broken = validations.ask(1, fail)
    (other,) = await asked(validations, counter, 2)
    assert broken is not None
    with pytest.raises(RuntimeError, match="a bug"):
        await broken
    assert await other == (0, 2)
    counter.close()


async def test_after_a_long_one_the_next_rests_and_others_have_the_loop() -> None:
    clock = [0.0]
    validations, counter = Validations(lambda: clock[0]), Counter()

    def takes(seconds: float) -> Callable[[], object]:
        def run() -> object:
            clock[0] += seconds
            return seconds

        return run

    assert await validations.ask(1, takes(LONG)) == LONG  # pyright: ignore[reportGeneralTypeIssues] - the line has room
    assert clock[0] >= validations._rests_until  # pyright: ignore[reportPrivateUsage]
    assert await validations.ask(1, takes(2 * LONG)) == 2 * LONG  # pyright: ignore[reportGeneralTypeIssues]
    assert validations._rests_until - clock[0] == pytest.approx(REST * LONG)  # pyright: ignore
    assert await validations.ask(1, counter.work("next")) == "next"  # pyright: ignore[reportGeneralTypeIssues]
    assert await validations.ask(1, takes(60.0)) == 60.0  # pyright: ignore[reportGeneralTypeIssues]
    late = validations.ask(1, counter.work("late"))
    for _ in range(10):
        await asyncio.sleep(0)  # turns in which it could have run
    assert counter.names() == ["next"]
    validations.close()
    assert late is not None
    assert late.cancelled()
    counter.close()


async def test_after_a_rest_the_line_begins_anew() -> None:
    validations, counter = Validations(), Counter()
    for _ in range(3):
        (one,) = await asked(validations, counter, 7)
        assert await one == (0, 7)
    counter.close()


def test_what_is_heavy_is_large_or_holds_much() -> None:
    assert not heavy(b"[" + b"{}," * 300 + b"{}]")  # below 1 KiB whatever it holds
    assert heavy(b"[" + b"{}," * 1000 + b"{}]")
    assert heavy(b"[" + b"1," * 5000 + b"1]")
    assert not heavy(b'"' + b"x" * (LIGHT - 2) + b'"')
    assert heavy(b'"' + b"x" * LIGHT + b'"')


LEAF = st.none() | st.integers() | st.text(alphabet='[{,"\\}]é', max_size=8)
DOCUMENTS = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text('[,{"\\', max_size=3), inner),
    max_leaves=30,
)


def held(value: object) -> tuple[int, int]:
    """Return commas and containers of a document."""
    if isinstance(value, dict):
        items = list(cast("dict[str, object]", value).values())
    elif isinstance(value, list):
        items = cast("list[object]", value)
    else:
        return 0, 0
    inner = [held(one) for one in items]
    return max(0, len(inner) - 1) + sum(one for one, _ in inner), 1 + sum(one for _, one in inner)


@settings(max_examples=100, deadline=None)
@given(document=DOCUMENTS, values=st.integers(0, 40), containers=st.integers(0, 20), ascii_=st.booleans())
def test_values_are_counted_exactly_whatever_stands_in_strings(
    document: object, values: int, containers: int, ascii_: bool
) -> None:
    content = json.dumps(document, ensure_ascii=ascii_).encode()
    commas, holding = held(document)
    assert MostValues(values, containers).passed(content) == (holding > containers or commas + holding > values)


def test_how_much_may_be_held_grows_with_the_bytes() -> None:
    assert MostValues.of(256 * 1024) == MostValues(65536, 16384)
    assert MostValues.of(0) == MostValues(4096, 1024)
    assert str(MostValues(65536, 16384)) == "65,536 values, 16,384 of them objects and arrays"
