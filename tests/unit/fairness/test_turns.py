"""Turns of the loop: who has much to do waits for others, and a round ends when its time is over."""

import asyncio
from collections.abc import Callable

from limen.fairness.turns import ROUND, SMALL_READS, TASK_COST, Turns, turns_of
from turning import Loop, turns_on


class Busy:
    """Has so many steps to do, each of which takes so much of the clock."""

    def __init__(
        self, name: str, turns: Turns, steps: int, did: list[str], takes: Callable[[], None], *, light: bool = False
    ) -> None:
        self.name, self.turns, self.left, self.did, self.takes, self.light = name, turns, steps, did, takes, light
        self.queued = False
        turns.ask(self, light=light)

    def step(self) -> None:
        self.did.append(self.name)
        self.left -= 1
        self.takes()
        if self.left:
            self.turns.ask(self, light=self.light)


def made() -> tuple[Loop, Turns, list[str], list[float]]:
    loop, clock = Loop(), [0.0]
    return loop, turns_on(loop, lambda: clock[0]), [], clock


def test_one_after_the_other() -> None:
    loop, turns, did, _ = made()
    for name in "abc":
        Busy(name, turns, 2, did, lambda: None)
    assert repr(turns) == "<Turns 3 in line>"
    assert loop.turn() == 1
    assert "".join(did) == "abcabc"
    assert loop.soon == []


def test_a_round_ends_with_its_time_and_the_next_is_in_another_turn_of_the_loop() -> None:
    loop, turns, did, clock = made()

    def takes() -> None:
        clock[0] += ROUND / 4

    Busy("a", turns, 1000, did, takes)
    Busy("b", turns, 3, did, takes)
    for rounds in range(1, 4):
        assert loop.turn() == 1  # however much there is to do: one call of the loop
        assert turns.steps == 4
        assert len(did) == 4 * rounds
    assert "".join(did) == "abab" + "abaa" + "aaaa"


def test_what_a_step_has_begun_for_later_counts_as_well() -> None:
    loop, turns, did, _ = made()
    Busy("a", turns, 10, did, lambda: turns.spend(ROUND / 2))
    loop.turn()
    assert did == ["a", "a"]
    loop.turn()
    assert did == ["a"] * 4


def test_work_that_was_done_at_once_shortens_the_next_round() -> None:
    loop, turns, did, clock = made()

    def takes() -> None:
        clock[0] += ROUND / 4

    Busy("a", turns, 100, did, takes)
    begun = turns.now()
    clock[0] += ROUND / 2
    assert turns.room()
    turns.did(begun)
    assert turns.room()
    loop.turn()
    assert turns.steps == 2
    turns.did(clock[0] - 10 * ROUND)
    assert not turns.room()  # what else comes in this turn waits
    loop.turn()
    assert turns.steps == 2  # whatever was done at once: half of a round is for those in line
    loop.turn()
    assert turns.steps == 4


def test_work_at_once_is_forgotten_with_the_turn_also_where_nobody_is_in_line() -> None:
    loop, turns, _, clock = made()
    begun = turns.now()
    clock[0] += ROUND
    turns.did(begun)
    assert not turns.room()
    assert loop.turn() == 1
    assert turns.room()
    assert loop.soon == []


def test_many_small_reads_at_once_count_as_half_a_round_and_more_are_timed() -> None:
    loop, turns, did, clock = made()

    def takes() -> None:
        clock[0] += ROUND / 4

    Busy("a", turns, 100, did, takes)
    assert [turns.small() for _ in range(SMALL_READS + 2)] == [True] * SMALL_READS + [False] * 2
    assert turns.room()
    loop.turn()
    assert turns.steps == 2
    assert turns.small()  # in the next turn anew
    loop.turn()
    assert turns.steps == 4


def test_few_small_reads_need_no_round() -> None:
    loop, turns, _, _ = made()
    assert all(turns.small() for _ in range(SMALL_READS - 1))
    assert loop.soon == []
    assert turns.small()
    assert loop.turn() == 1
    assert loop.soon == []


def test_small_reads_wait_where_the_turn_has_no_time_or_others_of_their_kind_wait() -> None:
    loop, turns, did, clock = made()
    turns.did(clock[0] - ROUND)
    assert not turns.small()
    loop.turn()
    assert turns.small()
    Busy("light", turns, 1, did, lambda: None, light=True)
    assert not turns.small()  # first in, first out
    loop.turn()
    assert turns.small()
    Busy("heavy", turns, 1, did, lambda: None)
    assert turns.small()


def test_light_work_has_half_of_the_time_where_there_is_other() -> None:
    loop, turns, did, clock = made()

    def taking(part: int) -> Callable[[], None]:
        def takes() -> None:
            clock[0] += ROUND / part

        return takes

    for number in range(10):
        Busy(f"heavy{number}", turns, 100, did, taking(1))
    for number in range(3):
        Busy(f"light{number}", turns, 100, did, taking(8), light=True)
    for _ in range(40):
        loop.turn()
    light = [name for name in did if name.startswith("light")]
    heavy = [name for name in did if name.startswith("heavy")]
    assert abs(len(light) - 8 * len(heavy)) <= 16
    assert light[:6] == ["light0", "light1", "light2"] * 2
    assert heavy[:10] == [f"heavy{number}" for number in range(10)]


def test_what_light_work_did_not_need_is_not_owed_to_it() -> None:
    loop, turns, did, clock = made()

    def takes() -> None:
        clock[0] += ROUND / 4

    Busy("heavy", turns, 100, did, takes)
    for _ in range(10):
        loop.turn()
    did.clear()
    Busy("light", turns, 100, did, takes, light=True)
    for _ in range(4):
        loop.turn()
    assert abs(did.count("light") - did.count("heavy")) <= 2


def test_a_task_counts_as_what_those_before_it_have_cost() -> None:
    loop, turns, did, clock = made()

    def task(seconds: float) -> Callable[[], None]:
        def begins() -> None:
            def runs() -> None:
                clock[0] += seconds

            turns.task_begins()
            loop.call_soon(runs)
            turns.task_made()

        return begins

    costly = task(ROUND / 2)
    costly()
    loop.run()
    assert turns.task_cost == (TASK_COST + ROUND / 2) / 2  # soon: what costs much must not be begun again and again
    for _ in range(100):
        task(ROUND / 20)()
        loop.run()
    assert ROUND / 20 < turns.task_cost < ROUND / 19  # by and by
    Busy("a", turns, 100, did, task(ROUND / 20))
    loop.turn()
    assert turns.steps in (19, 20)
    loop.run()
    for _ in range(10):
        task(100.0)()
        loop.run()
    assert 0.99 * ROUND < turns.task_cost <= ROUND  # whatever it was: one at least begins in each round


def test_networks_take_turns_in_both_lines() -> None:
    for light in (False, True):
        loop, turns, did, _ = made()

        class Once:
            def __init__(self, name: str, did: list[str]) -> None:
                self.name, self.did, self.queued = name, did, False

            def step(self) -> None:
                self.did.append(self.name)

        for name in ("a1", "a2", "a3", "b1"):
            turns.ask(Once(name, did), name[:1].encode(), light=light)
        loop.turn()
        assert did == ["a1", "b1", "a2", "a3"]


def test_what_took_long_is_not_paid_back_for_long() -> None:
    loop, turns, did, clock = made()

    def interrupted() -> None:
        clock[0] += 100 * ROUND

    def takes() -> None:
        clock[0] += ROUND / 4

    Busy("heavy", turns, 1000, did, takes)
    Busy("interrupted", turns, 1, did, interrupted, light=True)
    Busy("light", turns, 100, did, takes, light=True)
    for _ in range(4):
        loop.turn()
    assert did.count("light") >= 2


async def test_a_loop_has_one_line() -> None:
    loop = asyncio.get_running_loop()
    assert turns_of(loop) is turns_of(loop)


def test_who_asks_twice_is_in_line_once() -> None:
    loop, turns, did, _ = made()
    busy = Busy("a", turns, 1, did, lambda: None)
    turns.ask(busy)
    loop.turn()
    assert did == ["a"]


async def test_on_a_loop_others_run_between_rounds() -> None:
    clock = [0.0]
    turns = Turns(asyncio.get_running_loop(), lambda: clock[0])
    did: list[str] = []

    def takes() -> None:
        clock[0] += ROUND

    Busy("a", turns, 5, did, takes)
    for _ in range(3):
        did.append("other")
        await asyncio.sleep(0)
    assert did == ["other", "a", "other", "a", "other", "a"]
