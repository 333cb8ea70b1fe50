"""Connecting by name: every address is tried in turn, and a silent name delays only its own requests."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from calling import counts, pool_of
from limen import Limits, Upstream
from limen.errors import Kind
from limen.testing import ScriptedUpstream, saying
from limen.upstream.error import UpstreamError
from limen.upstream.names import Addresses, Names
from limen.upstream.network import Sockets
from limen.upstream.pool import Pool

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(saying(OK)) as upstream:
        yield upstream


@pytest.fixture
def full() -> Iterator[tuple[str, int]]:
    """An address at which nobody is ever accepted: it does not refuse, it says nothing."""
    with socket.create_server(("127.0.0.2", 0), backlog=0) as listener:
        address: tuple[str, int] = listener.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        yield address
        for one in waiting:
            one.close()


def pool_at(port: int, *addresses: str, scheme: str = "http") -> Pool:
    def resolver(host: str) -> Addresses:
        assert host == "svc.internal"
        return addresses

    upstream = Upstream("svc", [f"{scheme}://svc.internal:{port}"], limits=Limits(connections=8))
    return pool_of(upstream, Sockets(Names(resolver=resolver)))


def peer(pool: Pool) -> set[str]:
    """Return the addresses of the connections in use."""
    busy = pool._busy  # pyright: ignore[reportPrivateUsage] - nothing public says where a connection leads
    transports = [one._transport for one in busy]  # pyright: ignore[reportPrivateUsage]
    return {transport.get_extra_info("peername")[0] for transport in transports if transport is not None}


async def test_an_address_that_refuses_is_passed_over(server: ScriptedUpstream) -> None:
    pool = pool_at(server.port, "127.0.0.3", "127.0.0.1", "127.0.0.4")
    for _ in range(4):
        await pool.acquire(10)
    assert peer(pool) == {"127.0.0.1"}
    assert counts(pool) == (0, 4, 0)
    await pool.aclose()


async def test_an_address_that_says_nothing_leaves_time_for_the_others(full: tuple[str, int]) -> None:
    with socket.create_server(("127.0.0.1", full[1])):
        pool = pool_at(full[1], full[0], "127.0.0.1")
        await pool.acquire(0.5)
        assert peer(pool) == {"127.0.0.1"}
        await pool.aclose()


async def test_addresses_take_turns() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        pool = pool_at(listener.getsockname()[1], "127.0.0.1", "127.0.0.2", "127.0.0.3")
        for _ in range(3):
            await pool.acquire(10)
        assert peer(pool) == {"127.0.0.1", "127.0.0.2", "127.0.0.3"}
        await pool.aclose()


async def test_all_addresses_refuse(server: ScriptedUpstream) -> None:
    pool = pool_at(server.port, "127.0.0.3", "127.0.0.4")
    with pytest.raises(UpstreamError, match=r"svc\.internal") as caught:
        await pool.acquire(10)
    assert caught.value.fault.kind is Kind.UPSTREAM_REFUSED
    assert not caught.value.sent
    assert counts(pool) == (0, 0, 0)


async def test_a_name_that_is_silent_stops_nobody_who_goes_elsewhere(server: ScriptedUpstream) -> None:
    release = threading.Event()

    def resolver(host: str) -> Addresses:
        if host == "silent":
            release.wait(60)
        return ("127.0.0.1",)

    names = Names(resolver=resolver)
    sockets = Sockets(names)
    silent = pool_of(Upstream("a", ["http://silent:1"]), sockets)
    well = pool_of(Upstream("b", [f"http://well:{server.port}"]), sockets)
    callers = [asyncio.create_task(silent.acquire(60)) for _ in range(20)]
    for _ in range(8):
        await well.acquire(10)
    assert counts(well) == (0, 8, 0)
    with pytest.raises(UpstreamError) as caught:
        await silent.acquire(0.01)
    assert caught.value.fault.kind is Kind.CONNECT_TIMEOUT
    assert repr(names) == "<Names 2 known 1 running 0 in line>"
    sockets.close()
    for caller in callers:
        with pytest.raises(UpstreamError, match="shutting down"):
            await caller
    release.set()
    await well.aclose()
