"""TLS handshakes: how many run at once, how many begin in a turn of the loop, and in which order."""

import asyncio
import contextlib
import select
import socket
import ssl
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from certificates import Authority
from limen.cli import handshakes
from limen.cli.handshakes import HANDSHAKE_COST, PendingConnections, peer_closed
from limen.cli.listener import Listener
from limen.fairness.round_robin import RoundRobinQueue
from limen.fairness.scheduler import ROUND, LoopScheduler
from serving import until

MOST = 8


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """On either loop."""
    return ("asyncio", {"use_uvloop": request.param})


class Echo(asyncio.Protocol):
    """Says hello and ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writing = cast("asyncio.Transport", transport)
        writing.write(b"hello")
        writing.close()


class Served:
    """A listener, its port, and in which turn of the loop it made each protocol."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, handshake: float) -> None:
        self.port: int = sock.getsockname()[1]
        self.made_in: list[int] = []
        self.turn = 0
        self.listener = Listener(sock, self._make, context, handshake=handshake, on_shortage=lambda _: None)

    @property
    def pending(self) -> PendingConnections:
        return self.listener.pending

    def _make(self) -> Echo:
        self.made_in.append(self.turn)
        return Echo()


@contextlib.asynccontextmanager
async def served(authority: Authority, handshake: float = 30.0) -> AsyncGenerator[Served]:
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as sock:
        one = Served(sock, authority.server("localhost"), handshake)
        await one.listener.start(1000)
        try:
            yield one
        finally:
            one.listener.close()
            await one.pending.aclose()
            assert len(one.pending) == 0


def hello(context: ssl.SSLContext) -> bytes:
    """Return what a client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


async def secured(port: int, authority: Authority) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, ssl=authority.client(), server_hostname="localhost")


class Callers:
    """Clients that have said hello, one after the other, and wait."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    async def call(self, one: Served, said: bytes, count: int, address: str = "127.0.0.1") -> None:
        """Let so many more come from ``address``; return when the gateway knows that all of them ask."""
        for _ in range(count):
            asking = _asking(one) + 1
            self.sockets.append(socket.create_connection(("127.0.0.1", one.port), source_address=(address, 0)))
            self.sockets[-1].sendall(said)
            await until(lambda asking=asking: _asking(one) == asking)

    def answered(self) -> set[int]:
        """Return the numbers of those that something has come for."""
        ready, _, _ = select.select(self.sockets, [], [], 0)
        return {number for number, sock in enumerate(self.sockets) if sock in ready}

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def _asking(one: Served) -> int:
    return sum(each.queued for each in one.pending._pending)  # pyright: ignore[reportPrivateUsage] - seen by nobody else


class Held:
    """Stands in for the turns of a loop: a test makes them."""

    def __init__(self) -> None:
        self.line: RoundRobinQueue[Any] = RoundRobinQueue()

    def ask(self, worker: Any, network: bytes, *, light: bool) -> None:
        assert light
        worker.queued = True
        self.line.add(worker, network)

    def leave(self, worker: Any, network: bytes, *, light: bool) -> None:
        assert light
        self.line.remove(worker, network)

    def step(self) -> None:
        """Let one begin."""
        worker = self.line.take()
        worker.queued = False
        worker.step()

    def charge(self, seconds: float) -> None:
        """Do nothing."""


def held(one: Served, monkeypatch: pytest.MonkeyPatch) -> Held:
    turns = Held()
    monkeypatch.setattr(one.pending, "_scheduler", turns)
    return turns


async def test_handshakes_are_bounded_and_the_oldest_is_closed_for_a_new_one(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshakes, "MOST_HANDSHAKES", MOST)
    async with served(authority) as one:
        silent = [await asyncio.open_connection("127.0.0.1", one.port) for _ in range(3 * MOST)]
        for reader, _ in silent[: 2 * MOST]:
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert len(one.pending) == MOST
        reader, writer = await secured(one.port, authority)
        assert await reader.read() == b"hello"
        assert len(one.pending) <= MOST
        writer.close()
        for _, each in silent:
            each.close()
        await until(lambda: not one.pending)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the whole network of 127.0.0.1 is not this machine's")
async def test_the_network_with_the_most_handshakes_loses_one(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshakes, "MOST_HANDSHAKES", MOST)
    async with served(authority) as one:
        others, own = await asyncio.open_connection("127.0.0.1", one.port)  # the oldest of all
        flood = [
            await asyncio.open_connection("127.0.0.1", one.port, local_addr=("127.9.9.1", 0)) for _ in range(3 * MOST)
        ]
        for reader, _ in flood[: 2 * MOST + 1]:
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert len(one.pending) == MOST
        own.write(hello(authority.client()))
        assert await others.read(1)
        for writer in (own, *(each for _, each in flood)):
            writer.close()


async def test_a_silent_connection_is_closed_when_its_time_is_over(authority: Authority) -> None:
    async with served(authority, handshake=0.05) as one:
        silent, writer = await asyncio.open_connection("127.0.0.1", one.port)
        assert await silent.read() == b""
        assert one.made_in == []
        assert len(one.pending) == 0
        writer.close()


async def test_half_of_a_first_message_gets_no_more_time(authority: Authority) -> None:
    async with served(authority, handshake=0.05) as one:
        half, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(hello(authority.client())[:50])
        with contextlib.suppress(ConnectionResetError):
            assert await half.read() == b""
        await until(lambda: not one.pending)
        writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="as long as a message is not whole, only Linux keeps silent")
@pytest.mark.parametrize("sizes", [(1,), (4, 5), (5, 100), (200,)])
async def test_a_handshake_begins_when_the_first_message_is_whole(authority: Authority, sizes: tuple[int, ...]) -> None:
    async with served(authority) as one:
        said = hello(authority.client())
        with socket.create_connection(("127.0.0.1", one.port)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sent = 0
            for size in sizes:
                client.sendall(said[sent:size])
                sent = size
                await until(lambda: len(one.pending) == 1)
                reader, writer = await secured(one.port, authority)  # somebody else, meanwhile
                assert await reader.read() == b"hello"
                writer.close()
                await until(lambda: len(one.pending) == 1)
            assert len(one.made_in) == len(sizes)  # of the others alone
            client.sendall(said[sent:])
            client.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(client, 1) == b"\x16"
            assert len(one.made_in) == len(sizes) + 1


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
async def test_urgent_data_does_not_have_the_loop_look_again_and_again(authority: Authority) -> None:
    """The kernel tells of all that has come, and shows it only as far as the mark."""
    async with served(authority) as one:
        with socket.create_connection(("127.0.0.1", one.port)) as client:
            client.sendall(b"\x16\x03\x01\x02\x00abc")
            client.send(b"!", socket.MSG_OOB)
            client.sendall(bytes(600))
            await until(lambda: bool(one.made_in) or not one.pending)


async def test_input_that_is_not_tls_is_refused_at_once(authority: Authority) -> None:
    async with served(authority) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
        writer.close()
        await until(lambda: not one.pending)


async def test_a_handshake_that_is_cut_in_line_leaves_the_line(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshakes, "MOST_HANDSHAKES", MOST)
    async with served(authority) as one:
        held(one, monkeypatch)
        callers = Callers()
        await callers.call(one, hello(authority.client()), MOST)
        callers.sockets.append(socket.create_connection(("127.0.0.1", one.port)))
        callers.sockets[-1].sendall(hello(authority.client()))
        await until(lambda: callers.answered() == {0})  # of the end
        await until(lambda: _asking(one) == MOST)
        assert len(one.pending) == MOST
        callers.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the whole network of 127.0.0.1 is not this machine's")
async def test_networks_take_turns_and_within_one_the_first_that_has_asked_goes_first(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(authority) as one:
        turns = held(one, monkeypatch)
        callers = Callers()
        said = hello(authority.client())
        await callers.call(one, said, 3)
        await callers.call(one, said, 1, "127.0.0.2")  # is of the same network
        await callers.call(one, said, 2, "127.9.9.1")
        order: list[int] = []
        while len(order) < 6:
            turns.step()
            await until(lambda order=order: len(callers.answered()) > len(order))
            order += callers.answered() - set(order)
        assert order == [0, 4, 1, 5, 2, 3]
        callers.close()


async def test_few_handshakes_begin_in_one_turn_of_the_loop(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(authority) as one:
        before = held(one, monkeypatch)
        callers = Callers()
        await callers.call(one, hello(authority.client()), 30)
        monkeypatch.setattr(one.pending, "_scheduler", turns := LoopScheduler(asyncio.get_running_loop(), lambda: 0.0))
        while before.line:
            worker = before.line.take()
            worker.queued = False
            turns.ask(worker, worker.network, light=True)
        while len(one.made_in) < 30:
            one.turn += 1
            await asyncio.sleep(0)
        assert max(Counter(one.made_in).values()) == ROUND / HANDSHAKE_COST
        callers.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the state of a connection is asked of Linux")
async def test_a_client_that_leaves_before_its_turn_costs_no_handshake(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(authority) as one:
        turns = held(one, monkeypatch)
        callers = Callers()
        await callers.call(one, hello(authority.client()), 3)
        callers.sockets[0].close()
        first = next(iter(one.pending._pending))  # pyright: ignore[reportPrivateUsage] - what the kernel knows of it
        await until(lambda: peer_closed(first.connection))
        turns.step()
        assert one.made_in == []
        assert _asking(one) == len(one.pending) == 2
        callers.close()


async def test_a_stop_ends_every_handshake(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(authority) as one:
        silent, writer = await asyncio.open_connection("127.0.0.1", one.port)
        callers = Callers()
        turns = held(one, monkeypatch)
        await callers.call(one, hello(authority.client()), 3)
        turns.step()
        await until(lambda: bool(callers.answered()))  # and waits for what the client says next
        assert len(one.pending) == 4
        await one.pending.aclose()
        assert await silent.read() == b""
        assert len(one.pending) == 0
        callers.close()
        writer.close()
