"""Connections of several targets for the gateway's own requests: which target gives one, and when all are scarce."""

import asyncio
import ssl
from collections.abc import Callable

import pytest

from calling import InOrder, counts
from limen import Limits, Upstream
from limen.errors import Kind
from limen.upstream.connection import Connection
from limen.upstream.error import UpstreamError
from limen.upstream.live import LiveUpstream
from limen.upstream.network import MakeConnection
from limen.upstream.target import Target
from talk import Wire


class FakeNetwork:
    """Opens fake connections; targets in ``down`` refuse, and those in ``hanging`` say nothing.

    Nothing opens while ``gate`` is closed.
    """

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.down: set[str] = set()
        self.hanging: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def connect(
        self,
        upstream: Upstream,
        target: Target,
        make: MakeConnection,
        tls: Callable[[], ssl.SSLContext | None],
        deadline: float | None,
    ) -> Connection:
        await self.gate.wait()
        self.tried.append(target.url)
        if target.url in self.hanging:
            await asyncio.Event().wait()
        if target.url in self.down:
            raise ConnectionRefusedError("down")
        connection = make(Connection)
        connection.connection_made(Wire())
        return connection

    async def addresses(self, host: str, deadline: float | None) -> tuple[str, ...]:
        return ()

    def close(self) -> None: ...


def live_at(network: FakeNetwork, *targets: str, connections: int = 1, waiting: int = 256) -> LiveUpstream:
    limits = Limits(connections=connections, waiting=waiting)
    return LiveUpstream(Upstream("svc", targets, limits=limits), network, random=InOrder())


async def url(live: LiveUpstream, timeout: float = 1) -> str:
    """Connect, and return to which target; the connection stays in use."""
    pool, connection = await live.connect(timeout)
    assert pool.target is connection.target
    return connection.target.url


async def turns() -> None:
    """Let everything that can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_dead_target_is_passed_over() -> None:
    network = FakeNetwork()
    live = live_at(network, "http://a", "http://b", "http://c", connections=3)
    network.down.add("http://a")
    assert [await url(live) for _ in range(2)] == ["http://b", "http://b"]
    network.down |= {"http://b", "http://c"}
    with pytest.raises(UpstreamError) as caught:
        await live.connect(1)
    assert caught.value.fault.kind is Kind.UPSTREAM_REFUSED
    assert "down" in caught.value.fault.cause
    assert not caught.value.sent
    assert counts(live) == (0, 2, 0)


async def test_each_target_is_tried_once() -> None:
    network = FakeNetwork()
    network.down |= {"http://a", "http://b", "http://c"}
    live = live_at(network, "http://a", "http://b", "http://c")
    with pytest.raises(UpstreamError):
        await live.connect(1)
    assert network.tried == ["http://a", "http://b", "http://c"]


async def test_a_target_that_has_room_comes_before_one_that_is_full() -> None:
    network = FakeNetwork()
    live = live_at(network, "http://a", "http://b", "http://c")
    assert [await url(live) for _ in range(3)] == ["http://a", "http://b", "http://c"]
    assert counts(live) == (0, 3, 0)


async def test_an_idle_connection_is_used_again_and_goes_back_to_its_pool() -> None:
    network = FakeNetwork()
    live = live_at(network, "http://a", "http://b")
    pool, connection = await live.connect(1)
    pool.release(connection)
    assert counts(live) == (1, 0, 0)
    assert await live.connect(1) == (pool, connection)
    assert network.tried == ["http://a"]


async def test_a_target_that_hangs_leaves_time_for_those_after_it() -> None:
    network = FakeNetwork()
    network.hanging |= {"http://a", "http://b"}
    live = live_at(network, "http://a", "http://b", "http://c")
    assert await url(live, 0.05) == "http://c"
    network.hanging.add("http://c")
    live = live_at(network, "http://a", "http://b", "http://c")
    with pytest.raises(UpstreamError) as caught:
        await live.connect(0.01)
    assert caught.value.fault.kind is Kind.CONNECT_TIMEOUT
    assert counts(live) == (0, 0, 0)


async def test_connections_are_scarce_when_half_are_in_use() -> None:
    network = FakeNetwork()
    live = live_at(network, "http://a", "http://b", connections=2)  # four in all
    taken = [await live.connect(1)]
    assert not live.scarce()
    network.gate.clear()
    opening = asyncio.create_task(live.connect(1))
    await turns()
    assert live.scarce()  # what is being opened is taken
    network.gate.set()
    taken.append(await opening)
    assert live.scarce()
    pool, connection = taken.pop()
    pool.release(connection)
    assert counts(live) == (1, 1, 0)
    assert not live.scarce()  # idle ones are not in use


@pytest.mark.parametrize("waiting", [0, 1])
async def test_connections_are_not_scarce_for_whoever_would_be_refused(waiting: int) -> None:
    network = FakeNetwork()
    live = live_at(network, "http://a", waiting=waiting)
    assert not live.scarce()
    pool, taken = await live.connect(1)
    assert live.scarce() is bool(waiting)
    line = [asyncio.create_task(live.connect(1)) for _ in range(waiting)]
    await turns()
    assert not live.scarce()
    pool.release(taken)
    for task in line:
        pool, connection = await task
        pool.release(connection)
    assert network.tried == ["http://a"]
