"""Turns of the loop: who has much to do waits for others, and a round ends when its time is over."""

import asyncio
from collections.abc import Callable

from limen.upstream.turns import ROUND, Turns, turns_of


class Loop:
    """Runs what it is given when it is told to."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, what: Callable[[], None]) -> None:
        self.soon.append(what)

    def turn(self) -> int:
        """Run what was asked for; return how many things that were."""
        now, self.soon = self.soon, []
        for what in now:
            what()
        return len(now)


class Busy:
    """Has so many steps to do, each of which takes so much of the clock."""

    def __init__(self, name: str, turns: Turns, steps: int, did: list[str], takes: Callable[[], None]) -> None:
        self.name, self.turns, self.left, self.did, self.takes = name, turns, steps, did, takes
        self.queued = False
        turns.ask(self)

    def step(self) -> None:
        self.did.append(self.name)
        self.left -= 1
        self.takes()
        if self.left:
            self.turns.ask(self)


def made() -> tuple[Loop, Turns, list[str], list[float]]:
    loop, clock = Loop(), [0.0]
    return loop, Turns(loop, lambda: clock[0]), [], clock  # pyright: ignore[reportArgumentType] - all that it uses


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
