"""What a watch makes of the answers of a name server, and when it asks. Time is virtual."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest

from limen.testing.network import MemoryNetwork
from limen.upstream.connection import Connection
from limen.upstream.declared import Upstream
from limen.upstream.name_watch import INTERVAL, JITTER, LONGEST_LOOK_UP, MOST_ADDRESSES, RETRY, NameWatch, named
from limen.upstream.names import Names
from limen.upstream.network import MakeConnection, Network, Sockets
from limen.upstream.target import Target
from virtual_time import now, run

Addresses = tuple[str, ...]

FAILS = OSError("the name 'orders' cannot be looked up: Temporary failure in name resolution")
NO_NAME = OSError("the name 'orders' cannot be looked up: Name or service not known")


class NoJitter(Random):
    """Always the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@dataclass
class Zone:
    """A network that only knows names: what they lead to now, and who has asked for what, when."""

    answers: dict[str, Addresses | Exception]
    asked: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    silent: set[str] = field(default_factory=set[str])  # until it speaks
    speaks: asyncio.Event = field(default_factory=asyncio.Event)

    async def addresses(self, host: str, deadline: float | None) -> Addresses:
        self.asked.append((host, now()))
        assert deadline == asyncio.get_running_loop().time() + LONGEST_LOOK_UP
        async with asyncio.timeout_at(deadline):
            if host in self.silent:
                await self.speaks.wait()
        answer = self.answers[host]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def connect(
        self,
        upstream: Upstream,
        target: Target,
        make: MakeConnection,
        tls: Callable[[], ssl.SSLContext | None],
        deadline: float | None,
    ) -> Connection:
        raise AssertionError("a watch connects to nothing")

    def close(self) -> None:
        pass


class Watched:
    """A watch of ``urls``, and what it has told. Used as a context it runs."""

    def __init__(self, network: Network, *urls: str, random: Random | None = None, interval: float = INTERVAL) -> None:
        self.told: list[list[str]] = []
        declared = tuple(Target.parse(url) for url in urls)
        self.watch = NameWatch("shop", declared, network, self._changed, random or NoJitter(), interval)

    def _changed(self, targets: tuple[Target, ...]) -> None:
        assert targets == self.watch.targets
        self.told.append([f"{target.url} {','.join(target.addresses)}".strip() for target in targets])

    def __enter__(self) -> "Watched":
        self.watch.start(asyncio.get_running_loop())
        return self

    def __exit__(self, *error: object) -> None:
        self.watch.close()


def test_a_name_is_looked_up_at_once_and_told_only_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def test() -> None:
        zone = Zone({"orders": ("10.0.0.2", "10.0.0.1")})
        with Watched(zone, "http://orders:8000") as shop:
            await asyncio.sleep(1)
            first = ["http://orders:8000 10.0.0.1", "http://orders:8000 10.0.0.2"]
            assert shop.told == [first]
            zone.answers["orders"] = ("10.0.0.1", "10.0.0.2", "10.0.0.1")  # another order is no change
            await asyncio.sleep(3 * INTERVAL)
            assert shop.told == [first]
            zone.answers["orders"] = ("10.0.0.3", "10.0.0.2")
            await asyncio.sleep(INTERVAL)
            assert shop.told[1:] == [["http://orders:8000 10.0.0.2", "http://orders:8000 10.0.0.3"]]
            assert repr(shop.watch) == "<NameWatch shop 1 names 2 targets>"
        assert zone.asked == [("orders", n * INTERVAL) for n in range(5)]

    run(test())
    assert [record.message for record in caplog.records] == [
        "upstream shop: the name 'orders' has 2 addresses now, 2 of them new; 0 are gone",
        "upstream shop: the name 'orders' has 2 addresses now, 1 of them new; 1 are gone",
    ]


def test_the_addresses_of_both_families_are_pairs() -> None:
    async def test() -> None:
        zone = Zone(
            {
                "localhost": ("::1", "127.0.0.1"),
                "three": ("10.0.0.3", "fd00::1", "10.0.0.1", "fd00::2", "10.0.0.2", "fd00::3"),
                "uneven": ("fd00::1", "10.0.0.1", "10.0.0.2"),
            }
        )
        with Watched(zone, "http://localhost", "http://three", "http://uneven") as shop:
            await asyncio.sleep(1)
            assert shop.told[-1] == [
                "http://localhost ::1,127.0.0.1",
                "http://three 10.0.0.1,fd00::1",
                "http://three 10.0.0.2,fd00::2",
                "http://three 10.0.0.3,fd00::3",
                "http://uneven fd00::1,10.0.0.1",
                "http://uneven 10.0.0.2",
            ]

    run(test())


def test_the_preferred_family_stays_while_there_are_addresses_of_it() -> None:
    async def test() -> None:
        zone = Zone({"orders": ("fd00::1", "10.0.0.1")})
        with Watched(zone, "http://orders") as shop:
            for answer, targets in (
                (("10.0.0.1", "fd00::1"), ["fd00::1,10.0.0.1"]),
                (("10.0.0.2", "10.0.0.1", "fd00::1"), ["fd00::1,10.0.0.1", "10.0.0.2"]),
                (("10.0.0.1",), ["10.0.0.1"]),
                (("fd00::1", "10.0.0.1"), ["10.0.0.1,fd00::1"]),
            ):
                await asyncio.sleep(1)
                zone.answers["orders"] = answer
                await asyncio.sleep(INTERVAL)
                assert shop.told[-1] == [f"http://orders {one}" for one in targets]

    run(test())


def test_what_is_no_name_passes_unchanged_and_in_its_place() -> None:
    async def test() -> None:
        zone = Zone({"b": ("10.0.0.2", "10.0.0.3"), "d": ("10.0.0.4",)}, silent={"d"})
        urls = ("http://10.0.0.1", "http://b:1", "unix:/run/c.sock", "https://d", "http://b:2", "http://[::1]")
        with Watched(zone, *urls) as shop:
            await asyncio.sleep(1)
            first = [urls[0], "http://b:1 10.0.0.2", "http://b:1 10.0.0.3", urls[2]]
            last = ["http://b:2 10.0.0.2", "http://b:2 10.0.0.3", urls[5]]
            assert shop.told == [[*first, "https://d", *last]]  # a name that is silent holds up no other
            zone.speaks.set()
            await asyncio.sleep(1)
            assert shop.told[1:] == [[*first, "https://d 10.0.0.4", *last]]
        assert [host for host, _ in zone.asked] == ["b", "d"]  # however many targets a name has, it is looked up once

    run(test())


def test_without_names_there_is_nothing_to_do() -> None:
    async def test() -> None:
        urls = ("http://10.0.0.1", "unix:/run/c.sock", "http://[::1]")
        with Watched(Zone({}), *urls) as shop:
            loop = asyncio.get_running_loop()
            assert not vars(loop)["_scheduled"]
            assert asyncio.all_tasks() == {asyncio.current_task()}
            shop.watch.refresh()
        assert [target.url for target in shop.watch.targets] == list(urls)
        assert shop.told == []

    run(test())
    assert [named(Target.parse(url)) for url in ("http://a", "http://127.1", "http://127.0.0.1", "unix:/a")] == [
        True,
        True,
        False,
        False,
    ]
    assert not named(Target.parse("http://a").at(("10.0.0.1",)))


@pytest.mark.parametrize("error", [FAILS, NO_NAME])
def test_when_look_ups_fail_the_last_addresses_stay_and_the_name_is_asked_sooner(
    error: OSError, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        zone = Zone({"orders": ("10.0.0.1",)})
        with Watched(zone, "http://orders") as shop:
            await asyncio.sleep(1)
            zone.answers["orders"] = error
            zone.asked.clear()
            await asyncio.sleep(INTERVAL + 129)
            waits = [at - INTERVAL for _, at in zone.asked]
            assert waits == [0, 1, 3, 7, 15, 31, 61, 91, 121]
            assert [str(target) for target in shop.watch.targets] == ["http://orders [10.0.0.1]"]
            zone.answers["orders"] = ("10.0.0.1",)
            await asyncio.sleep(INTERVAL)
            assert len(shop.told) == 1
            # All is well: a failure is soon repeated again.
            zone.answers["orders"] = error
            zone.asked.clear()
            await asyncio.sleep(INTERVAL + RETRY)
            assert len(zone.asked) >= 2

    run(test())
    assert [record.message for record in caplog.records] == [
        f"upstream shop: {error}; its last addresses (1) serve on",
        "upstream shop: the name 'orders' can be looked up again",
        f"upstream shop: {error}; its last addresses (1) serve on",
    ]


def test_a_name_that_is_not_known_yet_is_connected_to_by_name(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        zone = Zone({"orders": NO_NAME})
        with Watched(zone, "http://orders") as shop:
            await asyncio.sleep(2)
            assert [str(target) for target in shop.watch.targets] == ["http://orders"]
            zone.answers["orders"] = FAILS  # another cause is worth a line
            await asyncio.sleep(2)
            zone.answers["orders"] = ("10.0.0.1",)
            await asyncio.sleep(4)
            assert shop.told == [["http://orders 10.0.0.1"]]

    run(test())
    assert [record.message for record in caplog.records] == [
        f"upstream shop: {NO_NAME}; no address of it is known yet",
        f"upstream shop: {FAILS}; no address of it is known yet",
        "upstream shop: the name 'orders' can be looked up again",
    ]


def test_silence_is_a_failure_after_a_while() -> None:
    async def test() -> None:
        zone = Zone({"orders": ("10.0.0.1",)}, silent={"orders"})
        with Watched(zone, "http://orders") as shop:
            await asyncio.sleep(LONGEST_LOOK_UP + RETRY)
            await asyncio.sleep(0.5)
            assert [at for _, at in zone.asked] == [0, LONGEST_LOOK_UP + RETRY]
            zone.speaks.set()
            await asyncio.sleep(1)
            assert shop.told == [["http://orders 10.0.0.1"]]

    run(test())


def test_of_too_many_addresses_always_the_same_are_used(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        ipv6 = [f"fd00::{n:x}" for n in range(MOST_ADDRESSES - 1)]
        zone = Zone({"orders": (*ipv6, *(f"10.0.0.{n}" for n in range(9)))})
        with Watched(zone, "http://orders") as shop:
            await asyncio.sleep(1)
            zone.answers["orders"] = (*reversed(ipv6), *(f"10.0.0.{8 - n}" for n in range(9)))
            await asyncio.sleep(INTERVAL)
            assert len(shop.told) == 1
            assert len(shop.told[0]) == MOST_ADDRESSES - 1
            assert {one for target in shop.watch.targets for one in target.addresses} == {*ipv6, "10.0.0.0"}

    run(test())
    assert [record.message for record in caplog.records] == [
        "upstream shop: the name 'orders' has 8 addresses more than the 1000 that are used; the others get no requests: "
        "split them between several names"
    ]


def test_waits_differ_by_a_tenth() -> None:
    async def test() -> None:
        zone = Zone({"orders": ("10.0.0.1",)})
        with Watched(zone, "http://orders", random=Random(1), interval=100.0):
            await asyncio.sleep(10_000)
        times = [at for _, at in zone.asked]
        waits = [after - before for before, after in pairwise(times)]
        assert 100 * (1 - JITTER) <= min(waits) < 92
        assert 108 < max(waits) <= 100 * (1 + JITTER)

    run(test())


def test_an_interval_of_less_than_the_first_retry_bounds_that_too() -> None:
    async def test() -> None:
        zone = Zone({"orders": FAILS})
        with Watched(zone, "http://orders", interval=0.5):
            await asyncio.sleep(1.75)
        assert [at for _, at in zone.asked] == [0, 0.5, 1.0, 1.5]

    run(test())


def test_a_refresh_is_soon_but_never_a_flood() -> None:
    async def test() -> None:
        zone = Zone({"orders": ("10.0.0.1",)})
        with Watched(zone, "http://orders") as shop:
            await asyncio.sleep(0.25)
            for _ in range(50):
                shop.watch.refresh()  # the last one is a quarter of a second ago
            await asyncio.sleep(9.75)
            assert [at for _, at in zone.asked] == [0, RETRY]
            zone.answers["orders"] = ("10.0.0.2",)
            for _ in range(50):
                shop.watch.refresh()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            assert shop.told[1:] == [["http://orders 10.0.0.2"]]
            await asyncio.sleep(0.5)
            assert [at for _, at in zone.asked] == [0, RETRY, 10]
            await asyncio.sleep(2 + INTERVAL)
            assert [at for _, at in zone.asked] == [0, RETRY, 10, 10 + RETRY, 10 + RETRY + INTERVAL]

    run(test())


@pytest.mark.parametrize("seconds", [0.0, 1.0, LONGEST_LOOK_UP + RETRY / 2, LONGEST_LOOK_UP + 2 * RETRY])
def test_closing_ends_it_at_whatever_moment(seconds: float) -> None:
    async def test() -> None:
        zone = Zone({"a": ("10.0.0.1",), "b": ("10.0.0.1",)}, silent={"a"})
        with Watched(zone, "http://a", "http://b") as shop:
            await asyncio.sleep(seconds)
            told = len(shop.told)
        zone.speaks.set()
        zone.asked.clear()
        shop.watch.refresh()
        shop.watch.close()
        await asyncio.sleep(10 * INTERVAL)
        assert (len(shop.told), zone.asked) == (told, [])

    run(test())


def test_who_is_told_may_close_the_watch() -> None:
    async def test() -> None:
        zone = Zone({"a": ("10.0.0.1",)})
        told: list[tuple[Target, ...]] = []

        def changed(targets: tuple[Target, ...]) -> None:
            told.append(targets)
            watch.close()

        watch = NameWatch("shop", (Target.parse("http://a"),), zone, changed, NoJitter())
        watch.start(asyncio.get_running_loop())
        await asyncio.sleep(10 * INTERVAL)
        assert (len(told), len(zone.asked)) == (1, 1)

    run(test())


def test_a_bug_in_a_network_ends_no_watch() -> None:
    async def test() -> None:
        reported: list[BaseException] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
        zone = Zone({"orders": KeyError("a bug")})
        with Watched(zone, "http://orders") as shop:
            await asyncio.sleep(0.5)
            zone.answers["orders"] = ("10.0.0.1",)
            await asyncio.sleep(RETRY)
            assert shop.told == [["http://orders 10.0.0.1"]]
        assert [str(error) for error in reported] == ["'a bug'"]

    run(test())


def test_in_memory_names_lead_to_services() -> None:
    async def test() -> None:
        with Watched(MemoryNetwork({}), "http://orders") as shop:
            await asyncio.sleep(INTERVAL)
            assert shop.told == []

    run(test())


def test_a_watch_shares_the_look_ups_and_threads_of_those_who_connect() -> None:
    async def test() -> None:
        asked: list[str] = []
        threads: list[Callable[[], None]] = []

        def resolver(host: str) -> Addresses:
            asked.append(host)
            return ("10.0.0.1",)

        sockets = Sockets(Names(resolver=resolver, run=threads.append, clock=asyncio.get_running_loop().time))
        with Watched(sockets, "http://orders") as shop, Watched(sockets, "http://orders:1") as other:
            # It hangs: the watches give up, and come back to the same look-up.
            await asyncio.sleep(LONGEST_LOOK_UP + RETRY + 1)
            assert (shop.told, len(threads)) == ([], 1)
            threads.pop()()
            await asyncio.sleep(1)
            assert (shop.told, other.told) == ([["http://orders 10.0.0.1"]], [["http://orders:1 10.0.0.1"]])
            await asyncio.sleep(INTERVAL)
            threads.pop()()  # however fresh the cache is
            await asyncio.sleep(1)
            assert (asked, threads) == (["orders", "orders"], [])
        sockets.close()

    run(test())
