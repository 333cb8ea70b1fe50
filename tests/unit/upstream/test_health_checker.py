"""When targets are checked, what a check finds, and that nothing is left of it. Time is virtual, services are scripted."""

import asyncio
import ssl
from collections.abc import Callable
from contextvars import copy_context
from random import Random

import pytest

from limen.testing import Fleet, answer, dripping, flapping, hanging, refusing, resetting_at, saying, statuses
from limen.testing.network import MemoryNetwork
from limen.testing.server import ScriptServer
from limen.upstream.connection import Connection
from limen.upstream.declared import Upstream
from limen.upstream.ejection import Ejection
from limen.upstream.health import Health
from limen.upstream.health_checker import MOST_AT_ONCE
from limen.upstream.live import LiveUpstream
from limen.upstream.network import MakeConnection
from limen.upstream.target import Target
from virtual_time import now, run


class NoJitter(Random):
    """Always the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Checked:
    """An upstream whose targets are checked, and its fleet."""

    def __init__(self, count: int, health: Health | None = None, random: Random | None = None) -> None:
        self.fleet = Fleet(count)
        self.health = Health("/readyz") if health is None else health
        self.network = MemoryNetwork(
            {url: ScriptServer(one.listener, copy_context()) for url, one in self.fleet.services.items()}
        )
        self.random = NoJitter() if random is None else random
        self.live = self.made(Upstream("orders", self.fleet.urls, health=self.health))

    def made(self, upstream: Upstream, before: LiveUpstream | None = None) -> LiveUpstream:
        loop = asyncio.get_running_loop()
        return LiveUpstream(upstream, self.network, clock=loop.time, now=now, random=self.random, before=before)

    async def __aenter__(self) -> "Checked":
        self.live.start(asyncio.get_running_loop())
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.live.aclose()
        for target in self.fleet:
            await target.listener.end()
            target.listener.raise_first()

    @property
    def states(self) -> list[str]:
        return [target.health.says() for target in self.live.targets]


def test_each_target_is_checked_at_once_and_then_every_interval() -> None:
    async def test() -> None:
        async with Checked(3) as orders:
            assert orders.live.unchecked() == 3
            await asyncio.sleep(0.001)
            assert orders.live.unchecked() == 0
            assert orders.fleet.counts("/readyz") == [1, 1, 1]
            await asyncio.sleep(10.0)
            assert orders.fleet.counts("/readyz") == [3, 3, 3]
            assert orders.states == ["in", "in", "in"]
            head = orders.fleet[0].requests[0]
            assert head.startswith(b"GET /readyz HTTP/1.1\r\nhost: service-1:8000\r\n")
            assert b"\r\nconnection: close\r\n" in head
            now = orders.live.snapshot()
            assert (now.idle, now.busy, orders.fleet[0].connections) == (0, 0, 3)

    run(test())


def test_a_target_that_fails_is_out_after_a_few_checks_and_returns_after_a_few() -> None:
    async def test() -> None:
        async with Checked(2) as orders:
            await asyncio.sleep(0.5)
            orders.fleet[0].behave(*statuses(503), path="/readyz")
            await asyncio.sleep(5.0)
            assert orders.states == ["in", "in"]
            await asyncio.sleep(2.0)
            assert orders.states == ["out: 3 checks in a row failed, the last: an answer of 503", "in"]
            orders.fleet[0].behave(*statuses(200), path="/readyz")
            await asyncio.sleep(1.0)
            assert not orders.live.targets[0].health.due()
            await asyncio.sleep(1.0)
            assert orders.live.targets[0].health.due()  # a request probes it
            assert orders.states[0].startswith("out: checks are good again, after: 3 checks in a row failed")
            count = orders.fleet[0].count("/readyz")
            await asyncio.sleep(10.0)
            assert orders.fleet[0].count("/readyz") == count + 2

    run(test())


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (saying(answer(status=503)), "an answer of 503"),
        (saying(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"), "an answer of 302"),
        (hanging, "no answer within 1 s"),
        (refusing, "connecting to http://service-1:8000: the scripted service refuses connections"),
        (resetting_at("answer_head", answer(b"ok")), "reset the connection"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "xpected"),
        (saying(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000 + b"\r\n\r\n"), "65536 bytes"),
        (saying(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok"), "whole"),
        (dripping(answer(b"x" * 200), 0.01), "no whole answer within 1 s"),
    ],
    ids=["503", "redirect", "hanging", "refusing", "reset", "no HTTP", "long head", "cut", "dripping"],
)
def test_what_is_wrong_is_put_into_words(caplog: pytest.LogCaptureFixture, script: object, problem: str) -> None:
    async def test() -> None:
        async with Checked(2) as orders:
            orders.fleet[0].behave(script)  # pyright: ignore[reportArgumentType]
            await asyncio.sleep(1.5)
            assert orders.states[0].startswith("out: the check failed: ")
            assert problem in orders.states[0]
            assert orders.states[1] == "in"
            assert orders.live.unchecked() == 0

    run(test())
    assert "Traceback" not in caplog.text


def test_an_endless_answer_is_good_enough_and_read_no_further() -> None:
    async def test() -> None:
        endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n"
        async with Checked(2) as orders:
            orders.fleet[0].behave(saying(endless))
            await asyncio.sleep(0.1)
            assert orders.states[0] == "in"
            assert orders.live.unchecked() == 0

    run(test())


def test_statuses_and_intervals_are_as_declared() -> None:
    async def test() -> None:
        health = Health("/up?full=1", 2.0, unhealthy_interval=0.5, fall=1, rise=1, statuses=[204, 401])
        async with Checked(2, health) as orders:
            orders.fleet[0].behave(*statuses(401, 200, 204))
            orders.fleet[1].behave(*statuses(204))
            await asyncio.sleep(0.1)
            assert orders.states == ["in", "in"]
            await asyncio.sleep(2.0)
            assert orders.states[0] == "out: the check failed: an answer of 200"
            await asyncio.sleep(0.5)
            assert orders.live.targets[0].health.due()
            assert orders.fleet.counts("/up") == [3, 2]

    run(test())


def test_intervals_vary_by_a_fifth() -> None:
    async def test() -> None:
        async with Checked(1, Health("/", 10.0), Random(7)) as orders:
            target = orders.live.targets[0].health
            waits: set[float] = set()
            for _ in range(50):
                await asyncio.sleep(12.01)
                waits.add(target.check_at)
            assert 50 <= orders.fleet[0].count() <= 12.01 * 50 / 8 + 1
            assert len(waits) == 50

    run(test())


def test_a_drained_target_is_checked() -> None:
    async def test() -> None:
        async with Checked(2) as orders:
            orders.live.drain("http://service-1:8000")
            await asyncio.sleep(6)
            assert orders.fleet.counts() == [2, 2]

    run(test())


def test_targets_come_and_go() -> None:
    async def test() -> None:
        async with Checked(3) as orders:
            first, second, third = (Target.parse(url) for url in orders.fleet.urls)
            orders.live.retarget([first, second])
            await asyncio.sleep(2.0)
            assert orders.fleet.counts() == [1, 1, 0]
            orders.live.retarget([second, third])
            assert orders.live.unchecked() == 1
            await asyncio.sleep(0.1)
            assert orders.live.unchecked() == 0
            assert orders.fleet.counts() == [1, 1, 1]
            await asyncio.sleep(3.0)
            assert orders.fleet.counts() == [1, 2, 1]  # one that stays keeps its timetable

    run(test())


def test_a_reload_keeps_what_was_found_and_the_timetable() -> None:
    async def test() -> None:
        async with Checked(2) as orders:
            orders.fleet[0].behave(*statuses(503))
            await asyncio.sleep(4.9)
            assert orders.states[0].startswith("out: the check failed")
            loop = asyncio.get_running_loop()
            changed = Upstream("orders", orders.fleet.urls, health=orders.health, ejection=Ejection(faults=9))
            before, orders.live = orders.live, orders.made(changed, orders.live)
            orders.live.activate()
            before.retire(orders.live)
            orders.live.start(loop)
            counts = orders.fleet.counts()
            await asyncio.sleep(0.01)
            assert (orders.live.unchecked(), orders.fleet.counts()) == (0, counts)
            await asyncio.sleep(0.1)
            assert orders.fleet.counts() == [counts[0] + 1, 2]
            unchecked = Upstream("orders", orders.fleet.urls)
            before, orders.live = orders.live, orders.made(unchecked, orders.live)
            orders.live.activate()
            before.retire(orders.live)
            orders.live.start(loop)
            assert orders.states == ["in", "in"]  # nothing would ever let it return
            counts = orders.fleet.counts()
            await asyncio.sleep(20)
            assert orders.fleet.counts() == counts

    run(test())


class Slow:
    """A network on which connecting takes for ever; it counts who tries."""

    def __init__(self) -> None:
        self.now = self.most = self.begun = 0

    async def connect(
        self,
        upstream: Upstream,
        target: Target,
        make: MakeConnection,
        tls: Callable[[], ssl.SSLContext | None],
        deadline: float | None,
    ) -> Connection:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            self.now -= 1

    async def addresses(self, host: str, deadline: float | None) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        pass


def test_only_so_many_checks_run_at_once_and_each_has_its_turn() -> None:
    async def test() -> None:
        network = Slow()
        urls = [f"http://10.0.0.{number}:80" for number in range(1, 101)]
        upstream = Upstream("orders", urls, health=Health("/", timeout=1.0))
        live = LiveUpstream(upstream, network, clock=asyncio.get_running_loop().time, now=now, random=NoJitter())
        live.start(asyncio.get_running_loop())
        await asyncio.sleep(0.5)
        assert (network.begun, network.now) == (MOST_AT_ONCE, MOST_AT_ONCE)
        await asyncio.sleep(3.6)
        assert live.unchecked() == 0
        assert network.most == MOST_AT_ONCE
        assert live.targets[99].health.says() == "out: the check failed: no connection within 1 s"
        live.stop()
        begun = network.begun
        await live.aclose()
        assert network.now == 0
        await asyncio.sleep(10)
        assert network.begun == begun

    run(test())


def test_a_stop_leaves_nothing_and_another_start_goes_on() -> None:
    async def test() -> None:
        async with Checked(2) as orders:
            orders.fleet[0].behave(hanging)
            await asyncio.sleep(0.5)
            orders.live.stop()
            await asyncio.sleep(20)
            assert orders.fleet.counts() == [1, 1]
            assert orders.live.unchecked() == 1
            orders.fleet[0].behave(*statuses(200))
            orders.live.start(asyncio.get_running_loop(), checks=False)
            await asyncio.sleep(20)
            assert orders.fleet.counts() == [1, 1]
            orders.live.check(by_itself=True)
            orders.live.check(by_itself=True)
            await asyncio.sleep(0.1)
            assert orders.fleet.counts() == [2, 2]
            assert orders.live.unchecked() == 0

    run(test())


def test_a_bug_of_a_network_is_logged_once_and_ends_no_timetable(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Slow):
        async def connect(
            self,
            upstream: Upstream,
            target: Target,
            make: MakeConnection,
            tls: Callable[[], ssl.SSLContext | None],
            deadline: float | None,
        ) -> Connection:
            self.begun += 1
            raise ZeroDivisionError

    async def test() -> None:
        network = Broken()
        upstream = Upstream("orders", ["http://10.0.0.1:80"], health=Health("/"))
        live = LiveUpstream(upstream, network, clock=asyncio.get_running_loop().time, now=now, random=NoJitter())
        live.start(asyncio.get_running_loop())
        await asyncio.sleep(10.5)
        assert network.begun == 11
        assert live.targets[0].health.says() == "out: the check failed: the check failed: ZeroDivisionError"
        await live.aclose()

    run(test())
    assert caplog.text.count("Traceback") + caplog.text.count("most recent call last") >= 1
    assert sum("the check of" in record.message for record in caplog.records) == 1


def test_one_that_flaps_within_bounds_stays(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with Checked(2) as orders:
            orders.fleet[0].behave(flapping(2, 2))
            await asyncio.sleep(60)
            assert orders.states == ["in", "in"]

    run(test())
    assert caplog.text == ""
