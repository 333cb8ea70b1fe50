"""The listener of our own: it accepts few in a turn, and a shortage of descriptors neither spins nor stays silent."""

import asyncio
import contextlib
import errno
import socket
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import pytest

from limen.cli import listener as listening
from limen.cli.listener import Listener
from no_files import NoFiles
from serving import until


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Accept on either loop: on uvloop the first of those that wait is its own server's."""
    return ("asyncio", {"use_uvloop": request.param})


asyncio_alone = pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": False})], ids=["asyncio"])
uvloop_alone = pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"])


class Echo(asyncio.Protocol):
    """Says hello and ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Do so."""
        writing = cast("asyncio.Transport", transport)
        writing.write(b"hello")
        writing.close()


@contextlib.asynccontextmanager
async def listen(told: Callable[[], None] = lambda: None) -> AsyncGenerator[tuple[Listener, int]]:
    """Listen on a free port; ``told`` of each connection that gets a protocol."""

    def make() -> Echo:
        told()
        return Echo()

    with socket.create_server(("127.0.0.1", 0), backlog=1000) as sock:
        made = Listener(sock, make, None, handshake=30.0, on_shortage=lambda _: None)
        await made.start(1000)
        try:
            yield made, sock.getsockname()[1]
        finally:
            made.close()
            await made.pending.aclose()


async def test_plain_connections_are_accepted() -> None:
    async with listen() as (_, port):
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b"hello"
            writer.close()


def connected(port: int) -> socket.socket:
    """Return a connection, whether or not anybody has accepted it."""
    return socket.create_connection(("127.0.0.1", port))


async def test_waiting_connections_are_accepted_in_few_turns_few_in_each() -> None:
    made_in: list[int] = []
    turn = 0
    async with listen(lambda: made_in.append(turn)) as (_, port):
        waiting = [connected(port) for _ in range(40)]
        while len(made_in) < len(waiting):
            turn += 1
            await asyncio.sleep(0)
        each = Counter(made_in)
        assert max(each.values()) <= listening._ALIVE + 1  # pyright: ignore[reportPrivateUsage] - on uvloop one more is its server's
        assert len(each) < len(waiting) // 2
        for one in waiting:
            one.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the state of a connection is asked of Linux")
async def test_connections_that_ended_before_they_were_accepted_are_closed_unread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made_for: list[None] = []
    async with listen(lambda: made_for.append(None)) as (_, port):
        for _ in range(200):
            connected(port).close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b"hello"
        writer.close()
        assert len(made_for) < 20  # the first of those that waited, in each turn
    assert [line for line in caplog.messages if "closed unread" in line] == [
        "closed unread: 1 connections whose clients had left while they waited"  # the others within the next minute
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
async def test_a_single_connection_is_served_even_if_it_has_ended() -> None:
    made_for: list[None] = []
    async with listen(lambda: made_for.append(None)) as (_, port):
        connected(port).close()
        await until(lambda: len(made_for) == 1)


@uvloop_alone
async def test_a_stop_ends_accepting_also_between_two_turns() -> None:
    made_for: list[None] = []
    async with listen(lambda: made_for.append(None)) as (made, port):
        waiting = [connected(port) for _ in range(30)]
        while made._more is None:  # noqa: ASYNC110  # pyright: ignore[reportPrivateUsage] - a look in each turn: no event
            await asyncio.sleep(0)
        made.close()
        before = len(made_for)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(made_for) - before <= listening._ALIVE  # pyright: ignore[reportPrivateUsage] - accepted before
        for one in waiting:
            one.close()


@uvloop_alone
async def test_a_shortage_of_descriptors_is_logged_beside_the_loops_own_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listen() as (made, port):
        said: list[OSError] = []
        monkeypatch.setattr(made, "_on_shortage", said.append)

        class Short:
            def accept(self) -> Any:
                raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(made, "_listener", Short())
        for number in range(1, 3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b"hello"
            writer.close()
            await until(lambda number=number: len(said) == number)


@asyncio_alone
async def test_a_shortage_of_descriptors_is_logged_and_pauses_accepting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_PAUSE", 60.0)
    said: list[OSError] = []
    with contextlib.closing(NoFiles()) as sock:
        made = Listener(cast("socket.socket", sock), Echo, None, handshake=1.0, on_shortage=said.append)
        await made.start(1)
        await until(lambda: bool(said))
        for _ in range(100):  # turns of the loop, in each of which the socket is readable
            await asyncio.sleep(0)
        assert (sock.accepts, len(said)) == (1, 1)
        made.close()


@asyncio_alone
async def test_accepting_goes_on_after_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_PAUSE", 0.01)
    said: list[OSError] = []
    with contextlib.closing(NoFiles()) as sock:
        made = Listener(cast("socket.socket", sock), Echo, None, handshake=1.0, on_shortage=said.append)
        await made.start(1)
        await until(lambda: len(said) == 3)
        assert sock.accepts == 3
        made.close()


async def test_a_connection_without_a_descriptor_waits_for_one() -> None:
    served = 0
    rooms = 2

    class Counted(Echo):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal served
            served += 1
            super().connection_made(transport)

    with socket.create_server(("127.0.0.1", 0)) as sock:
        made = Listener(
            sock,
            Counted,
            None,
            handshake=1.0,
            on_shortage=lambda _: None,
            has_room=lambda: served + len(made.pending) < rooms,
        )
        await made.start(1)
        clients = [await asyncio.open_connection("127.0.0.1", sock.getsockname()[1]) for _ in range(4)]
        for reader, _ in clients[:2]:
            assert await reader.read() == b"hello"
        made.resume()
        for _ in range(50):  # turns of the loop, in each of which the socket is readable
            await asyncio.sleep(0)
        assert served == 2
        rooms = 4
        made.resume()
        for reader, writer in clients:
            assert await reader.read() in (b"", b"hello")
            writer.close()
        assert served == 4
        made.close()
        await made.pending.aclose()
