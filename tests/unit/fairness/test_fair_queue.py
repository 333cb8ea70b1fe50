"""The fair queue: who gets a place, who waits, who is replaced; and no place is lost when a waiter is cancelled."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.fairness.fair_queue import FairQueue, Place

LONG = 3600.0


def has(place: Place | None) -> bool:
    return place is not None and place.done() and place.result()


async def test_one_client_has_at_most_its_part_of_the_places() -> None:
    queue = FairQueue(4, 100, 2)
    flood = [queue.ask(b"a") for _ in range(50)]
    assert [has(place) for place in flood] == [True, True] + [False] * 48
    assert has(queue.ask(b"b"))
    assert has(queue.ask(b"c"))
    assert not has(queue.ask(b"d"))
    assert repr(queue) == "<FairQueue 4 of 4 taken, 49 in line, 2 clients>"


async def test_places_that_become_free_go_round() -> None:
    queue = FairQueue(2, 100, 2)
    flood = [queue.ask(b"a") for _ in range(52)]
    second, third = queue.ask(b"b"), queue.ask(b"c")
    queue.leave(b"a")
    assert [has(flood[2]), has(second), has(third)] == [True, False, False]
    queue.leave(b"a")
    assert [has(flood[3]), has(second), has(third)] == [False, True, False]
    queue.leave(b"b")
    assert [has(flood[3]), has(third)] == [False, True]


async def test_who_floods_a_full_line_makes_room_for_others() -> None:
    queue = FairQueue(1, 10, 1)
    flood = [queue.ask(b"a") for _ in range(11)]
    assert queue.ask(b"a") is None
    assert queue.waiting == 10
    others = [queue.ask(b"%d" % number) for number in range(4)]
    assert all(place is not None and not place.done() for place in others)
    assert queue.waiting == 10
    gone = [place for place in flood if place is not None and place.done() and not place.result()]
    assert gone == flood[-4:]
    assert not await queue.granted(b"a", gone[0], LONG)
    # With one each there is nobody who has more than others.
    for number in range(4, 9):
        queue.ask(b"%d" % number)
    assert queue.ask(b"late") is None


async def test_a_full_line_is_not_searched_for_each_of_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a client with its share in line, nor where so many clients are there that no one has two."""
    queue = FairQueue(1, 64, 1)
    for number in range(65):
        queue.ask(b"%d" % (number % 4))
    looks = 0

    def longest(lines: object, **options: object) -> bytes:
        nonlocal looks
        looks += 1
        return b"0"

    monkeypatch.setattr("builtins.max", longest)
    refused = sum(queue.ask(b"%d" % (number % 4)) is None for number in range(1000))
    wide = FairQueue(1, 64, 1)
    for number in range(65):
        wide.ask(b"%d" % number)
    refused += sum(wide.ask(b"other %d" % number) is None for number in range(1000))
    monkeypatch.undo()
    assert refused > 1990
    assert looks < 10


async def test_who_leaves_or_waits_too_long_loses_nobodys_place() -> None:
    queue = FairQueue(1, 10, 1)
    first = queue.ask(b"a")
    assert first is not None
    assert await queue.granted(b"a", first, LONG)
    places = [queue.ask(b"b") for _ in range(3)]
    waiting = [asyncio.create_task(queue.granted(b"b", place, LONG)) for place in places if place is not None]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait(waiting[1:2])
    assert queue.waiting == 2
    # It has its place, and is cancelled before it knows.
    queue.leave(b"a")
    waiting[0].cancel()
    assert await waiting[2]
    queue.leave(b"b")
    late = queue.ask(b"c")
    later = queue.ask(b"d")
    assert late is not None
    assert later is not None
    assert not await queue.granted(b"d", later, 0.0)
    assert repr(queue) == "<FairQueue 1 of 1 taken, 0 in line, 0 clients>"


async def test_a_place_goes_to_nobody_who_has_just_given_up() -> None:
    queue = FairQueue(1, 10, 1)
    assert has(queue.ask(b"a"))
    places = [queue.ask(name) for name in (b"b", b"c", b"d")]
    waiting = [
        asyncio.create_task(queue.granted(client, place, LONG))
        for client, place in zip((b"b", b"c", b"d"), places, strict=True)
        if place is not None
    ]
    await asyncio.sleep(0)
    waiting[0].cancel()
    queue.leave(b"a")
    assert await waiting[1]
    assert queue.waiting == 1
    waiting[2].cancel()
    queue.leave(b"c")
    await asyncio.wait(waiting)
    assert repr(queue) == "<FairQueue 0 of 1 taken, 0 in line, 0 clients>"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("ask", "ask", "leave")))), st.integers(1, 4))
def test_the_bounds_hold_and_no_place_stays_free_for_whom_it_is(steps: list[tuple[str, str]], places: int) -> None:
    async def run() -> None:
        each = max(1, places // 2)
        queue = FairQueue(places, 5, each)
        asked: list[tuple[bytes, Place]] = []
        taken: Counter[bytes] = Counter()
        left: Counter[bytes] = Counter()
        for name, step in steps:
            client = name.encode()
            if step == "ask":
                if (place := queue.ask(client)) is not None:
                    asked.append((client, place))
            elif taken[client]:
                left[client] += 1
                queue.leave(client)
            taken = Counter(one for one, place in asked if has(place)) - left
            line = Counter(one for one, place in asked if not place.done())
            assert taken.total() <= places
            assert all(count <= each for count in taken.values())
            assert queue.waiting == line.total() <= 5
            assert taken.total() == places or not any(taken[one] < each for one in line)

    asyncio.run(run())
