"""Which address is tried when, which one wins, and what becomes of the others. Attempts are scripts, and time is virtual."""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.upstream.connection import Connection
from limen.upstream.happy_eyeballs import DELAY, LEAST_DELAY, MOST_AT_ONCE, connect_to_first, pairs
from talk import TARGET, Wire
from turning import timeless
from virtual_time import now, run

HANGS = 1e6
REFUSES = ConnectionRefusedError("refused")


@dataclass
class Attempts:
    """What each address does: it connects, or fails, after so many seconds; and what was done to it."""

    script: dict[str, tuple[float, OSError | None]]
    began: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    given_up: list[str] = field(default_factory=list[str])
    wires: dict[str, Wire] = field(default_factory=dict[str, Wire])
    running: int = 0
    most: int = 0

    async def connect(self, address: str) -> Connection:
        seconds, error = self.script[address]
        self.began.append((address, now()))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.given_up.append(address)
            raise
        finally:
            self.running -= 1
        if error is not None:
            raise error
        return self.opened(address)

    def opened(self, address: str) -> Connection:
        self.wires[address] = Wire()
        connection = Connection(TARGET, 4096, lambda _: None, timeless())
        connection.connection_made(self.wires[address])
        return connection

    async def first(self, *, seconds: float | None = None) -> str:
        """Return the address that wins; None is no deadline."""
        loop = asyncio.get_running_loop()
        deadline = None if seconds is None else loop.time() + seconds
        async with asyncio.timeout_at(deadline):
            connection = await connect_to_first(tuple(self.script), self.connect, deadline)
        for address, wire in self.wires.items():
            if connection._transport is wire:  # pyright: ignore[reportPrivateUsage] - nothing public says where it leads
                return address
        raise AssertionError

    async def open(self) -> list[str]:
        """Return the addresses with a connection that is open."""
        await asyncio.sleep(0)
        return [address for address, wire in self.wires.items() if not wire.aborted]


def test_families_take_turns_and_the_first_one_begins() -> None:
    assert pairs(["::1", "::2", "::3", "10.0.0.1"]) == [("::1", "10.0.0.1"), ("::2",), ("::3",)]
    assert pairs(["10.0.0.1", "::1", "::2"]) == [("10.0.0.1", "::1"), ("::2",)]
    assert pairs([]) == []

    async def test() -> None:
        attempts = Attempts({"::1": (HANGS, None), "::2": (HANGS, None), "10.0.0.1": (0.6, None)})
        assert await attempts.first() == "10.0.0.1"
        assert attempts.began == [("::1", 0.0), ("10.0.0.1", DELAY), ("::2", 2 * DELAY)]

    run(test())


def test_who_answers_in_time_is_alone() -> None:
    async def test() -> None:
        attempts = Attempts({"::1": (DELAY - 0.01, None), "10.0.0.1": (0.0, None)})
        assert await attempts.first() == "::1"
        assert attempts.began == [("::1", 0.0)]

    run(test())


def test_the_next_begins_at_once_when_one_fails() -> None:
    async def test() -> None:
        attempts = Attempts({"a": (0.1, REFUSES), "b": (HANGS, None), "c": (0.0, REFUSES), "d": (0.1, None)})
        assert await attempts.first() == "d"
        assert attempts.began == [("a", 0.0), ("b", 0.1), ("c", 0.1 + DELAY), ("d", 0.1 + DELAY)]
        assert (attempts.given_up, await attempts.open()) == (["b"], ["d"])

    run(test())


def test_a_slow_one_may_still_win_and_the_others_are_given_up() -> None:
    async def test() -> None:
        attempts = Attempts({"a": (0.6, None), "b": (HANGS, None), "c": (0.5, None)})
        assert await attempts.first() == "a"
        assert await attempts.open() == ["a"]
        assert attempts.given_up == ["b", "c"]

    run(test())


def test_of_two_that_connect_in_one_turn_the_first_wins_and_the_other_is_closed() -> None:
    async def test() -> None:
        attempts = Attempts({"a": (0.5, None), "b": (0.25, None)})
        assert await attempts.first() == "a"
        assert (list(attempts.wires), await attempts.open()) == (["a", "b"], ["a"])

    run(test())


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.6])
def test_leaving_leaves_nothing(seconds: float) -> None:
    async def test() -> None:
        attempts = Attempts({"a": (HANGS, None), "b": (HANGS, None), "c": (HANGS, None)})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await attempts.first()
        await asyncio.sleep(0)
        assert attempts.given_up == [address for address, _ in attempts.began]

    run(test())


def test_an_attempt_that_connects_although_it_was_given_up_is_closed() -> None:
    async def test() -> None:
        attempts = Attempts({})

        async def connect(address: str) -> Connection:
            try:
                await asyncio.sleep(HANGS)
            except asyncio.CancelledError:
                return attempts.opened(address)
            raise AssertionError

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await connect_to_first(("a", "b"), connect, None)
        await asyncio.sleep(0)
        assert (list(attempts.wires), await attempts.open()) == (["a"], [])

    run(test())


def test_before_a_deadline_all_addresses_have_their_chance() -> None:
    async def test() -> None:
        attempts = Attempts({"0": (HANGS, None), "1": (HANGS, None), "2": (HANGS, None), "well": (0.05, None)})
        assert await attempts.first(seconds=0.4) == "well"
        assert attempts.began == [("0", 0.0), ("1", 0.1), ("2", 0.2), ("well", 0.3)]

    run(test())


def test_the_more_addresses_the_sooner_but_never_all_at_once() -> None:
    async def test() -> None:
        attempts = Attempts({f"{n}": (HANGS, None) for n in range(1000)})
        with pytest.raises(TimeoutError):
            await attempts.first(seconds=1.0)
        await asyncio.sleep(0)
        assert len(attempts.began) == pytest.approx(1.0 / LEAST_DELAY, abs=2)
        assert (attempts.most, attempts.running) == (MOST_AT_ONCE, 0)

    run(test())


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([OSError("no route"), REFUSES], "refused"),
        ([REFUSES, OSError("no route")], "refused"),
        ([REFUSES, TimeoutError("silent")], "refused"),
        ([OSError("no route"), TimeoutError("silent"), OSError("no route")], "silent"),
        ([REFUSES, ssl.SSLError("untrusted"), TimeoutError("silent")], "untrusted"),
        ([ConnectionRefusedError("first"), ConnectionResetError("second")], "first"),
    ],
)
def test_the_error_that_says_most_is_raised(errors: list[OSError], told: str) -> None:
    async def test() -> None:
        attempts = Attempts({f"{n}": (0.1, error) for n, error in enumerate(errors)})
        with pytest.raises(OSError, match=told) as caught:
            await attempts.first()
        assert type(caught.value) is next(type(error) for error in errors if told in str(error))
        assert len(attempts.began) == len(errors)

    run(test())


def test_a_bug_is_raised_at_once_and_one_that_comes_too_late_is_reported() -> None:
    async def test() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

        async def connect(address: str) -> Connection:
            try:
                await asyncio.sleep(0.5 if address == "b" else HANGS)
            except asyncio.CancelledError:
                raise KeyError(address) from None
            raise KeyError(address)

        with pytest.raises(KeyError, match="b"):
            await connect_to_first(("a", "b", "c"), connect, None)
        for _ in range(2):  # the attempts end, and what hears of it runs
            await asyncio.sleep(0)
        assert [repr(context["exception"]) for context in reported] == ["KeyError('a')", "KeyError('c')"]

    run(test())


_OUTCOMES = st.tuples(
    st.sampled_from([0.0, 0.01, 0.25, 0.3, 1.0, HANGS]), st.sampled_from([None, REFUSES, OSError("no")])
)
_ADDRESSES = st.integers(0, 40).map(lambda n: f"10.0.0.{n}") | st.integers(0, 40).map(lambda n: f"fd00::{n}")


@given(st.dictionaries(_ADDRESSES, _OUTCOMES, min_size=1, max_size=20), st.sampled_from([0.2, 2.0, 20.0]))
def test_whatever_addresses_do_one_that_answers_wins_and_nothing_else_stays(
    script: dict[str, tuple[float, OSError | None]], seconds: float
) -> None:
    async def test() -> None:
        attempts = Attempts(script)
        won: list[str] = []
        try:
            won.append(await attempts.first(seconds=seconds))
        except OSError as error:
            silent = isinstance(error, TimeoutError)
            assert silent or all(outcome[1] is not None or outcome[0] == HANGS for outcome in script.values())
        assert await attempts.open() == won
        assert len({address for address, _ in attempts.began}) == len(attempts.began)
        assert attempts.running == 0
        if any(outcome == (0.0, None) for outcome in script.values()) and len(script) * LEAST_DELAY < seconds:
            assert won

    run(test())
