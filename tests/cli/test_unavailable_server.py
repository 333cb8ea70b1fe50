"""The 503 server of ``--reload`` over real sockets, in the test's own process: every bound, and its stop."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Generator
from typing import Any, cast

import pytest

from certificates import Authority
from commands import Streams, connected
from limen.cli import listener as listening
from limen.cli import unavailable_server
from limen.cli.unavailable_server import UnavailableServer
from no_files import NoFiles
from serving import until

GET = b"GET / HTTP/1.1\r\nhost: g\r\n\r\n"


@pytest.fixture
def listener() -> Generator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as found:
        found.setblocking(False)
        yield found


def port(listener: socket.socket) -> int:
    number: int = listener.getsockname()[1]
    return number


@contextlib.asynccontextmanager
async def answering(listener: socket.socket, detail: str) -> AsyncGenerator[UnavailableServer]:
    """Answer with ``detail``; then see that nothing is left of the clients, who have gone."""
    async with UnavailableServer(listener, detail) as server:
        yield server
    await until(lambda: not server.connections)


async def answer(streams: Streams, sent: bytes) -> tuple[bytes, bytes]:
    """Send bytes and return head and content of the answer, which ends the connection."""
    streams[1].write(sent)
    head, _, content = (await streams[0].read()).partition(b"\r\n\r\n")
    return head, content


@pytest.mark.parametrize(
    "sent",
    [
        GET,
        b"POST /x HTTP/1.1\r\nhost: g\r\ncontent-length: 3\r\n\r\nabc",
        b"GET / HTTP/1.0\n\n",
        b"\x16\x03\x01 is no HTTP\r\n\r\n",
        b"GET /" + b"x" * 2 * unavailable_server.HEAD,
    ],
    ids=["get", "post", "old", "tls", "long"],
)
async def test_every_request_is_answered(listener: socket.socket, sent: bytes) -> None:
    async with answering(listener, "why\n  ^"), connected(port(listener)) as streams:
        head, content = await answer(streams, sent)
        assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\ndate: ")
        document = json.loads(content)
        assert (document["detail"], document["code"]) == ("why\n  ^", "startup_failed")
        assert f"\r\nx-request-id: {document['request_id']}\r\n".encode() in head
        assert f"\r\ncontent-length: {len(content)}\r\n".encode() in head


async def test_head_gets_the_head_alone(listener: socket.socket) -> None:
    async with answering(listener, "why"), connected(port(listener)) as streams:
        head, content = await answer(streams, b"HEAD / HTTP/1.1\r\nhost: g\r\n\r\n")
        assert b"\r\ncontent-length: " in head
        assert content == b""


async def test_a_large_body_does_not_cost_the_answer(listener: socket.socket) -> None:
    async with answering(listener, "why") as server, connected(port(listener)) as streams:
        streams[1].write(b"POST / HTTP/1.1\r\ncontent-length: 4000000\r\n\r\n")
        for _ in range(40):
            streams[1].write(b"x" * 100_000)
            await streams[1].drain()
        assert (await streams[0].read()).startswith(b"HTTP/1.1 503 ")
        assert len(server.connections) == 1


async def test_connections_are_bounded(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unavailable_server, "CONNECTIONS", 2)
    async with answering(listener, "why") as server:
        async with connected(port(listener)), connected(port(listener)) as second, connected(port(listener)) as third:
            await until(lambda: len(server.connections) == 2)
            third[1].write(GET)
            await third[1].drain()
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(server.connections) == 2
            second[1].close()
            assert (await third[0].read()).startswith(b"HTTP/1.1 503 ")
        await until(lambda: not server.connections)


async def test_a_client_that_says_nothing_is_closed(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unavailable_server, "HEAD_TIME", 0.0)
    async with answering(listener, "why"), connected(port(listener)) as streams:
        assert await streams[0].read() == b""


async def test_a_client_that_does_not_leave_is_cut(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unavailable_server, "LINGER", 0.0)
    async with answering(listener, "why") as server, connected(port(listener)) as streams:
        streams[1].write(GET)
        await until(lambda: bool(server.connections))
        await until(lambda: not server.connections)


async def test_a_stop_answers_open_requests_and_closes_idle_connections(listener: socket.socket) -> None:
    async with connected(port(listener)) as asked, connected(port(listener)) as idle:
        async with UnavailableServer(listener, "why") as server:
            await until(lambda: len(server.connections) == 2)
            asked[1].write(GET[:9])
            await until(lambda: any("reads" in repr(each) for each in server.connections))
        assert (await asked[0].read()).startswith(b"HTTP/1.1 503 ")
        assert await idle[0].read() == b""
    await until(lambda: not server.connections)


async def test_a_connection_after_the_stop_waits_for_the_next_server(listener: socket.socket) -> None:
    async with answering(listener, "why"):
        pass
    async with connected(port(listener)) as streams:
        streams[1].write(GET)
        await streams[1].drain()
        async with answering(listener, "again"):
            assert b"again" in await streams[0].read()
            streams[1].close()


async def test_a_shortage_of_descriptors_is_one_log_line_and_a_pause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "_PAUSE", 60.0)
    with contextlib.closing(NoFiles()) as sock:
        async with UnavailableServer(cast("socket.socket", sock), "why"):
            await until(lambda: sock.accepts > 0)
            for _ in range(100):  # turns of the loop, in each of which the socket is readable
                await asyncio.sleep(0)
            assert sock.accepts == 1
    assert caplog.text.count("no file can be opened (Too many open files)") == 1


class Accepts(socket.socket):
    """A listening socket that keeps what it has accepted, and tells of it."""

    def __init__(self, fileno: int) -> None:
        """Take over the socket with that number."""
        super().__init__(fileno=fileno)
        self.accepted: list[socket.socket] = []
        self.told = asyncio.Event()

    def accept(self) -> Any:
        """Accept, and wake whoever waits: before what is made of the connection has its first turn."""
        found = super().accept()
        self.accepted.append(found[0])
        self.told.set()
        return found


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_stop_closes_a_connection_that_was_just_accepted(
    listener: socket.socket, authority: Authority, *, secure: bool
) -> None:
    """A task that is cancelled before its first turn never closes the socket that it was given."""
    with contextlib.closing(Accepts(listener.detach())) as accepting:
        accepting.setblocking(False)
        async with UnavailableServer(accepting, "why", authority.server() if secure else None):
            client = socket.create_connection(accepting.getsockname())
            await accepting.told.wait()
        await until(lambda: all(one.fileno() < 0 for one in accepting.accepted))
        assert len(accepting.accepted) == 1
        assert client.recv(1) == b""
        client.close()
