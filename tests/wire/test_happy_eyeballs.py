"""Connecting to several addresses at once over real sockets: no dead address costs a connect, and nothing stays open."""

import asyncio
import contextlib
import gc
import os
import socket
import ssl
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

import pytest

from certificates import Authority
from limen import Tls, Upstream
from limen.fairness.scheduler import scheduler_of
from limen.testing import Conversation, ScriptedUpstream, saying
from limen.upstream.connection import Connection
from limen.upstream.network import Sockets
from limen.upstream.tls import client_context
from serving import until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
WELL = "127.0.0.1"
REFUSES = "127.0.0.3"

_FILES = "/proc/self/fd"


@pytest.fixture(autouse=True)
def _count(no_collector: None) -> None:  # pyright: ignore[reportUnusedFunction] - nothing may wait for the collector
    """Let nothing be collected, so that what stays is seen."""


@pytest.fixture
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(saying(OK)) as upstream:
        yield upstream


@contextmanager
def full(address: str, port: int) -> Generator[str]:
    """Listen with a full backlog: who connects to ``address`` is neither accepted nor refused."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_server((address, port), backlog=0))
        for _ in range(3):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex((address, port))
        yield address


@pytest.fixture
def silent(server: ScriptedUpstream) -> Generator[str]:
    """The address of a host that drops what is sent to it, with a port like the server's."""
    with full("127.0.0.2", server.port) as address:
        yield address


async def connect(upstream: Upstream, *addresses: str, seconds: float = 10) -> Connection:
    """Connect to the first target of ``upstream`` at ``addresses``, within ``seconds``."""
    loop = asyncio.get_running_loop()
    target = upstream.addresses[0].at(addresses)

    def make(kind: type[Connection]) -> Connection:
        return kind(target, 4096, lambda _: None, scheduler_of(loop))

    deadline = loop.time() + seconds
    async with asyncio.timeout_at(deadline):
        return await Sockets().connect(upstream, target, make, lambda: client_context(upstream), deadline)


def peer(connection: Connection) -> str:
    transport = connection._transport  # pyright: ignore[reportPrivateUsage] - nothing public says where it leads
    assert transport is not None
    return transport.get_extra_info("peername")[0]


def count() -> tuple[int, int]:
    """Return how many connections and sockets there are. Other files are the loop's: libuv keeps one in reserve."""
    return sum(isinstance(one, Connection) for one in gc.get_objects()), sum(map(_is_socket, os.listdir(_FILES)))


def _is_socket(file: str) -> bool:
    try:
        return os.readlink(f"{_FILES}/{file}").startswith("socket:")
    except FileNotFoundError:  # the list's own
        return False


async def none_since(before: tuple[int, int]) -> None:
    """Return when there are no more connections and sockets than ``before``."""
    await until(lambda: all(now <= then for now, then in zip(count(), before, strict=True)))


def plain(port: int) -> Upstream:
    return Upstream("svc", [f"http://svc.internal:{port}"])


async def test_a_silent_address_costs_no_more_than_the_delay(server: ScriptedUpstream, silent: str) -> None:
    before = count()
    connection = await connect(plain(server.port), silent, WELL)
    assert peer(connection) == WELL
    # What was begun elsewhere is closed while the connection lives.
    await until(lambda: server.connections == 1 and count()[0] == before[0] + 1)
    connection.abort()
    del connection
    await none_since(before)


async def test_the_address_of_the_target_is_connected_to_and_no_name_is_looked_up(server: ScriptedUpstream) -> None:
    connection = await connect(plain(server.port), WELL)
    assert (peer(connection), str(connection.target)) == (WELL, f"http://svc.internal:{server.port} [{WELL}]")
    connection.abort()


async def test_addresses_that_refuse_are_passed_over(server: ScriptedUpstream) -> None:
    before = count()
    connection = await connect(plain(server.port), *(f"127.0.1.{n}" for n in range(1, 60)), WELL)
    assert peer(connection) == WELL
    connection.abort()
    del connection
    await none_since(before)


async def test_a_family_that_nobody_listens_on_is_passed_over(server: ScriptedUpstream) -> None:
    connection = await connect(plain(server.port), "::1", WELL)
    assert peer(connection) == WELL
    connection.abort()


async def test_if_all_refuse_that_is_told_and_nothing_stays(server: ScriptedUpstream) -> None:
    before = count()
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await connect(plain(server.port), REFUSES, "127.0.0.4", "::1")
    await none_since(before)


async def test_if_all_are_silent_the_time_passes_and_nothing_stays(server: ScriptedUpstream, silent: str) -> None:
    before = count()
    with full("127.0.0.5", server.port) as other:
        with pytest.raises(TimeoutError):
            await connect(plain(server.port), silent, other, seconds=0.1)
        with pytest.raises(TimeoutError):
            await connect(plain(server.port), silent, other, seconds=0.6)
    await none_since(before)


async def test_over_tls_an_address_that_accepts_and_says_nothing_does_not_win(authority: Authority) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()

    async with ScriptedUpstream(script, tls=authority.server("svc.internal")) as server:
        upstream = Upstream("svc", [f"https://svc.internal:{server.port}"], tls=Tls(ca=authority.path))
        with socket.create_server(("127.0.0.2", server.port)) as mute:
            connection = await connect(upstream, "127.0.0.2", WELL)
            assert peer(connection) == WELL
            accepted, _ = await asyncio.to_thread(mute.accept)
            with accepted:
                accepted.settimeout(20)
                assert await asyncio.to_thread(closed, accepted)
        connection.abort()


def closed(accepted: socket.socket) -> bool:
    """Read until the peer closes."""
    try:
        while accepted.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


async def test_over_tls_a_certificate_is_for_the_name_wherever_it_leads(authority: Authority) -> None:
    async with ScriptedUpstream(saying(OK), tls=authority.server("elsewhere.example")) as server:
        upstream = Upstream("svc", [f"https://svc.internal:{server.port}"], tls=Tls(ca=authority.path))
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(upstream, REFUSES, WELL, "::1")


@pytest.mark.parametrize("turns", range(14))
@pytest.mark.parametrize("first", [REFUSES, WELL])
async def test_a_cancelled_connect_leaves_nothing(first: str, turns: int) -> None:
    with socket.create_server((WELL, 0)) as listener:
        before = count()
        task = asyncio.create_task(connect(plain(listener.getsockname()[1]), first, WELL))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result().abort()
        del task
        await none_since(before)
