"""The cache of names: shared look-ups, the age of addresses, and bounds. The test plays the resolver and the threads."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from limen.upstream.names import FAILED, FRESH, MOST_NAMES, MOST_THREADS, OLD, QUIET, Addresses, Names, literal

RETRY_AFTER = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
NO_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@dataclass
class Resolver:
    """What the names server says, when the test lets a thread run, and what time it is."""

    answers: dict[str, Addresses | Exception] = field(default_factory=dict[str, Addresses | Exception])
    asked: list[str] = field(default_factory=list[str])
    threads: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    most: int = 1_000_000  # threads that the system gives
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.names = Names(resolver=self._resolve, run=self._run, clock=lambda: self.now)

    def wants(self, host: str, *, seconds: float = 1000.0) -> "asyncio.Task[Addresses]":
        deadline = asyncio.get_running_loop().time() + seconds
        return asyncio.create_task(self.names.addresses(host, deadline))

    def wants_now(self, host: str) -> "asyncio.Task[Addresses]":
        return asyncio.create_task(self.names.look_up(host))

    async def find_now(self, host: str) -> Addresses:
        task = self.wants_now(host)
        await self.answer()
        return await task

    async def answer(self) -> None:
        """Let every thread come to its end, and whoever waited go on."""
        await turns()
        threads, self.threads = self.threads, []
        for thread in threads:
            thread()
        await turns()

    async def find(self, host: str) -> Addresses:
        task = self.wants(host)
        await self.answer()
        return await task

    def _resolve(self, host: str) -> Addresses:
        self.asked.append(host)
        answer = self.answers[host]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _run(self, work: Callable[[], None]) -> None:
        if len(self.threads) >= self.most:
            raise RuntimeError("can't start new thread")
        self.threads.append(work)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def failure(task: "asyncio.Task[Addresses]") -> str:
    with pytest.raises(OSError, match=r".") as caught:
        await task
    return str(caught.value)


async def test_those_who_want_one_name_share_one_look_up_and_may_leave_it() -> None:
    resolver = Resolver({"a": ("10.0.0.1",)})
    tasks = [resolver.wants("a") for _ in range(50)]
    await turns()
    assert len(resolver.threads) == 1
    tasks[0].cancel()
    await resolver.answer()
    assert [await task for task in tasks[1:]] == [("10.0.0.1",)] * 49
    assert resolver.asked == ["a"]


async def test_a_name_that_is_not_answered_takes_one_thread_whoever_asks_and_holds_up_no_other() -> None:
    resolver = Resolver({"b": ("10.0.0.2",)})
    hanging = [resolver.wants(f"hangs-{n % 40}") for n in range(400)]
    await turns()
    assert len(resolver.threads) == 40
    stuck, resolver.threads = resolver.threads, []
    assert await resolver.find("b") == ("10.0.0.2",)
    for task in hanging:
        task.cancel()
    hanging = [resolver.wants(f"hangs-{n}") for n in range(40)]
    await turns()
    assert (len(stuck), resolver.threads) == (40, [])
    for task in hanging:
        task.cancel()


async def test_beyond_the_threads_there_is_a_line() -> None:
    names: dict[str, Addresses | Exception] = {f"n{n}": ("10.0.0.1",) for n in range(MOST_THREADS + 3)}
    resolver = Resolver(names)
    tasks = [resolver.wants(name) for name in names]
    await turns()
    assert len(resolver.threads) == MOST_THREADS
    assert "3 in line" in repr(resolver.names)
    await resolver.answer()
    assert len(resolver.threads) == 3
    await resolver.answer()
    assert all([await task for task in tasks])
    assert repr(resolver.names) == f"<Names {MOST_THREADS + 3} known 0 running 0 in line>"


async def test_renewals_leave_half_of_the_threads_to_names_of_which_nothing_is_known() -> None:
    names: dict[str, Addresses | Exception] = {f"n{n}": ("10.0.0.1",) for n in range(MOST_THREADS)}
    resolver = Resolver(names)
    for name in names:
        await resolver.find(name)
    resolver.now += FRESH
    for name in names:
        assert await resolver.wants(name)
    assert len(resolver.threads) == MOST_THREADS // 2
    new = [resolver.wants(f"new-{n}") for n in range(MOST_THREADS // 2)]
    await turns()
    assert len(resolver.threads) == MOST_THREADS
    for task in new:
        task.cancel()


async def test_fresh_addresses_are_used_and_older_ones_while_they_are_looked_up_anew() -> None:
    resolver = Resolver({"a": ("10.0.0.1",)})
    await resolver.find("a")
    resolver.now += FRESH - 0.1
    assert await resolver.wants("a") == ("10.0.0.1",)
    assert resolver.threads == []
    resolver.now += 0.1
    resolver.answers["a"] = ("10.0.0.9",)
    assert await resolver.wants("a") == ("10.0.0.1",)
    assert await resolver.wants("a") == ("10.0.0.1",)
    assert len(resolver.threads) == 1
    await resolver.answer()
    assert await resolver.wants("a") == ("10.0.0.9",)
    assert resolver.asked == ["a", "a"]


async def test_old_addresses_are_looked_up_before_they_are_used() -> None:
    resolver = Resolver({"a": ("10.0.0.1",)})
    await resolver.find("a")
    resolver.now += OLD
    resolver.answers["a"] = ("10.0.0.9",)
    task = resolver.wants("a")
    await turns()
    assert not task.done()
    await resolver.answer()
    assert await task == ("10.0.0.9",)


async def test_who_may_wait_without_bound_gets_old_addresses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limen.upstream.names.REFRESHED", 0.01)
    resolver = Resolver({"a": ("10.0.0.1",)})
    new = asyncio.create_task(resolver.names.addresses("a", None))
    await resolver.answer()
    assert await new == ("10.0.0.1",)
    resolver.now += OLD
    assert await resolver.names.addresses("a", None) == ("10.0.0.1",)
    assert len(resolver.threads) == 1  # it is looked up still


async def test_the_last_addresses_serve_while_the_name_server_fails(caplog: pytest.LogCaptureFixture) -> None:
    resolver = Resolver({"a": ("10.0.0.1",)})
    await resolver.find("a")
    resolver.answers["a"] = RETRY_AFTER
    for _ in range(100):
        resolver.now += OLD
        assert await resolver.find("a") == ("10.0.0.1",)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "name a: its last known addresses serve on" in caplog.text
    assert "Temporary failure" in caplog.text
    resolver.answers["a"] = ("10.0.0.9",)
    resolver.now += OLD
    # It was in trouble: nobody waits to see whether it still is.
    assert await resolver.find("a") == ("10.0.0.1",)
    assert await resolver.find("a") == ("10.0.0.9",)
    assert "can be looked up again" in caplog.records[-1].message


async def test_the_last_addresses_serve_while_the_name_server_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    resolver = Resolver({"a": ("10.0.0.1",)})
    await resolver.find("a")
    resolver.now += OLD
    # The first waits for half of its time, nobody else waits at all.
    assert await resolver.wants("a", seconds=0.02) == ("10.0.0.1",)
    assert [await resolver.wants("a") for _ in range(20)] == [("10.0.0.1",)] * 20
    assert len(resolver.threads) == 1
    assert [record.message for record in caplog.records] == [
        "name a: its last known addresses serve on: the name server takes too long"
    ]


async def test_a_name_that_is_silent_from_the_start_is_told_when_the_callers_time_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    resolver = Resolver()
    for seconds in (1000.0, 0.0):
        task = resolver.wants("a", seconds=seconds)
        await turns()
        task.cancel()
        await turns()
        assert len(caplog.records) == (0 if seconds else 1)  # a client that leaves says nothing about the name
    assert "name a: no address is known" in caplog.text


async def test_a_flood_for_an_unknown_name_is_no_flood_of_look_ups() -> None:
    resolver = Resolver({"a": NO_NAME})
    tasks = [resolver.wants("a") for _ in range(100)]
    await resolver.answer()
    for task in tasks:
        assert await failure(task) == "the name 'a' cannot be looked up: Name or service not known"
    for _ in range(100):
        assert "Name or service" in await failure(resolver.wants("a"))
    assert resolver.asked == ["a"]
    resolver.now += FAILED
    resolver.answers["a"] = ("10.0.0.1",)
    assert await resolver.find("a") == ("10.0.0.1",)


async def test_a_name_that_is_no_more_loses_its_addresses() -> None:
    resolver = Resolver({"a": ("10.0.0.1",)})
    await resolver.find("a")
    resolver.answers["a"] = NO_NAME
    resolver.now += FRESH
    assert await resolver.find("a") == ("10.0.0.1",)
    await failure(resolver.wants("a"))


async def test_a_name_that_comes_and_goes_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    resolver = Resolver()
    for turn in range(100):
        resolver.answers["a"] = ("10.0.0.1",) if turn % 2 else RETRY_AFTER
        task = resolver.wants("a")
        await resolver.answer()
        await asyncio.wait((task,))
        assert (task.exception() is None) == bool(turn)
        resolver.now += FRESH
    assert len(caplog.records) == 100
    caplog.clear()
    for turn in range(100):
        resolver.answers["b"] = ("10.0.0.1",) if turn % 2 else NO_NAME
        task = resolver.wants("b")
        await resolver.answer()
        await asyncio.wait((task,))
        assert task.exception() is None or turn % 2 == 0
        resolver.now += FAILED
    assert 0 < len(caplog.records) <= 100 * FAILED / QUIET


async def test_who_keeps_addresses_gets_what_a_look_up_finds_now_in_the_systems_order() -> None:
    resolver = Resolver({"a": ("fd00::1", "10.0.0.2", "10.0.0.1")})
    for _ in range(3):
        assert await resolver.find_now("a") == ("fd00::1", "10.0.0.2", "10.0.0.1")
    assert resolver.asked == ["a", "a", "a"]
    # Who connects has the use of it.
    resolver.now += FRESH - 1
    assert await resolver.wants("a")
    assert len(resolver.asked) == 3


async def test_all_share_the_look_up_that_runs() -> None:
    resolver = Resolver({"a": ("10.0.0.1",)})
    tasks = [resolver.wants("a"), resolver.wants_now("a"), resolver.wants_now("a"), resolver.wants("a")]
    await turns()
    assert len(resolver.threads) == 1
    tasks[1].cancel()
    await resolver.answer()
    assert [await task for task in tasks if task is not tasks[1]] == [("10.0.0.1",)] * 3


async def test_a_failure_is_told_to_who_keeps_addresses_and_another_look_up_begins_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    resolver = Resolver({"a": ("10.0.0.1",)})
    await resolver.find_now("a")
    for error, cause in ((RETRY_AFTER, "Temporary failure"), (NO_NAME, "Name or service not known"), (NO_NAME, "Name")):
        resolver.answers["a"] = error
        task = resolver.wants_now("a")
        await resolver.answer()
        assert f"the name 'a' cannot be looked up: {cause}" in await failure(task)
    assert len(resolver.asked) == 4
    assert not caplog.records  # it is theirs to log: nobody who connects has met the failure
    resolver.answers["a"] = ("10.0.0.1",)
    assert await resolver.find_now("a") == ("10.0.0.1",)


async def test_a_failure_is_logged_if_somebody_who_connects_waits_for_the_same_look_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    resolver = Resolver({"a": RETRY_AFTER})
    tasks = [resolver.wants_now("a"), resolver.wants("a")]
    await resolver.answer()
    for task in tasks:
        await failure(task)
    assert "name a: no address is known" in caplog.text


async def test_renewals_wait_for_the_threads_of_refreshes_and_get_them_in_their_order() -> None:
    half = MOST_THREADS // 2
    names: dict[str, Addresses | Exception] = {f"n{n}": ("10.0.0.1",) for n in range(half + 2)}
    resolver = Resolver(names)
    for name in names:
        await resolver.find(name)
    tasks = [resolver.wants_now(name) for name in names]
    await turns()
    assert len(resolver.threads) == half
    assert "2 in line" in repr(resolver.names)
    new = [resolver.wants(f"new-{n}") for n in range(half + 1)]
    await turns()
    assert len(resolver.threads) == MOST_THREADS
    resolver.answers.update({f"new-{n}": ("10.0.0.2",) for n in range(half + 1)})
    resolver.asked.clear()
    await resolver.answer()
    await resolver.answer()
    assert resolver.asked[-3:] == [f"new-{half}", f"n{half}", f"n{half + 1}"]
    assert all([await task for task in (*tasks, *new)])


async def test_addresses_take_turns_within_their_family() -> None:
    resolver = Resolver({"a": ("fd00::1", "10.0.0.1", "10.0.0.2", "10.0.0.3")})
    assert [await resolver.find("a") for _ in range(4)] == [
        ("fd00::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"),
        ("fd00::1", "10.0.0.2", "10.0.0.3", "10.0.0.1"),
        ("fd00::1", "10.0.0.3", "10.0.0.1", "10.0.0.2"),
        ("fd00::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"),
    ]


async def test_the_number_of_names_is_bounded_and_the_least_wanted_goes() -> None:
    resolver = Resolver({"kept": ("10.0.0.1",)})
    await resolver.find("kept")
    for n in range(MOST_NAMES + 10):
        resolver.answers[f"n{n}"] = ("10.0.0.2",)
        await resolver.find(f"n{n}")
        assert await resolver.wants("kept")
    assert f"{MOST_NAMES} known" in repr(resolver.names)
    assert resolver.asked.count("kept") == 1
    await resolver.find("n0")
    assert resolver.asked.count("n0") == 2


async def test_names_that_all_hang_are_bounded_too() -> None:
    resolver = Resolver()
    tasks = [resolver.wants(f"n{n}") for n in range(MOST_NAMES)]
    await turns()
    assert "others are under way" in await failure(resolver.wants("one more"))
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize("answer", [UnicodeError("label too long"), KeyError("a bug"), ()])
async def test_whatever_the_resolver_does_nobody_waits_for_ever(answer: Addresses | Exception) -> None:
    resolver = Resolver({"a": answer})
    task = resolver.wants("a")
    await resolver.answer()
    assert "the name 'a' cannot be looked up" in await failure(task)


async def test_a_process_that_may_have_no_more_threads_says_so() -> None:
    resolver = Resolver({"a": ("10.0.0.1",)}, most=0)
    assert "can't start new thread" in await failure(resolver.wants("a"))
    resolver.most = 1
    resolver.now += FAILED
    assert await resolver.find("a") == ("10.0.0.1",)


async def test_closing_sends_away_who_waits_and_drops_what_comes_later() -> None:
    resolver = Resolver({"a": ("10.0.0.1",)})
    tasks = [resolver.wants("a"), *(resolver.wants(f"n{n}") for n in range(MOST_THREADS)), resolver.wants_now("n1")]
    await turns()
    resolver.names.close()
    for task in tasks:
        assert "shutting down" in await failure(task)
    del resolver.threads[1:]
    await resolver.answer()
    assert "shutting down" in await failure(resolver.wants("a"))
    assert "shutting down" in await failure(resolver.wants_now("a"))
    assert resolver.threads == []


def test_the_end_of_the_loop_waits_for_no_look_up() -> None:
    release = threading.Event()
    began = threading.Event()
    threads: list[threading.Thread] = []

    def resolve(host: str) -> Addresses:
        threads.append(threading.current_thread())
        began.set()
        release.wait(30)
        return (host,)

    async def give_up() -> None:
        names = Names(resolver=resolve)
        task = asyncio.create_task(names.addresses("a", 0.0))
        await asyncio.to_thread(began.wait, 30)
        task.cancel()

    asyncio.run(give_up())
    assert threads[0].daemon
    assert threads[0].is_alive()
    release.set()
    threads[0].join(30)
    assert not threads[0].is_alive()


async def test_the_systems_resolver_knows_this_machine() -> None:
    names = Names()
    found = await names.addresses("localhost", asyncio.get_running_loop().time() + 30)
    assert set(found) <= {"127.0.0.1", "::1"}


def test_addresses_are_no_names() -> None:
    assert [literal(host) for host in ("127.0.0.1", "::1", "2001:db8::a")] == [True] * 3
    assert [literal(host) for host in ("localhost", "a.example", "127.1", "1", "")] == [False] * 5
