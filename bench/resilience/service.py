"""``python -m bench.resilience.service PORT NAME JOURNAL``: one target, which can be told to go bad.

Its answer to ``/items/<number>`` has the number, the method, its name and the request's content, so that an answer to another
request is detected at once. ``PUT /control/<condition>`` says how it answers from then on. Killing and freezing are done to
the process, from outside.

Each request is one line of JOURNAL, written before its answer: the file has all requests that have reached the target,
however the process ends. A frozen process writes the lines of those that wait when it goes on, even if the gateway has given
them up.
"""

import asyncio
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from time import monotonic
from typing import Literal, NamedTuple, cast

import httptools

Condition = Literal["well", "slow", "unavailable", "resetting"]
ITEMS, CONTROL = "/items/", "/control/"
SLOW_SECONDS = 0.5
"""How long a slow target takes for each answer."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with 0 seconds: closing sends RST


class Received(NamedTuple):
    """One attempt at a target: the time (``time.monotonic``, one clock for all processes), and the target's condition."""

    at: float
    target: str
    method: str
    number: int
    condition: str


def body(number: int, method: str, target: str, content: bytes) -> bytes:
    """Return the answer to a request: all that tells it from others, then the request's own body."""
    return f"{number} {method} {target} ".encode() + content


def read_journal(path: Path, target: str) -> list[Received]:
    """Return the requests that have reached ``target``, in order."""
    found: list[Received] = []
    for line in path.read_text().splitlines():
        at, method, number, condition = line.split()
        found.append(Received(float(at), target, method, int(number), condition))
    return found


class Journal:
    """Writes a line for each request."""

    def __init__(self, path: Path) -> None:
        """Append to what a former process of the same target has written."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, method: str, number: int, condition: Condition) -> None:
        """Hand the line to the kernel, which keeps it when the process is killed."""
        os.write(self._file, f"{monotonic():.6f} {method} {number} {condition}\n".encode())


class Target:
    """What all connections of the process share."""

    def __init__(self, name: str, journal: Journal) -> None:
        """It is well at first."""
        self.name = name
        self.journal = journal
        self.condition: Condition = "well"
        self.connections = set[asyncio.Transport]()


class TargetConnection(asyncio.Protocol):
    """One connection."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._content = b""
        self._later: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._target.connections.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._target.connections.discard(self._transport)
        if self._later is not None:
            self._later.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path, self._content = url, b""

    def on_body(self, data: bytes) -> None:
        self._content += data

    def on_message_complete(self) -> None:
        path, method = self._path.decode("latin-1"), self._parser.get_method().decode()
        if path.startswith(CONTROL):
            self._target.condition = cast("Condition", path.removeprefix(CONTROL))
            self._write(b"200 OK", b"")
            return
        content = b"well"  # what a health check gets
        if path.startswith(ITEMS):
            number = int(path.removeprefix(ITEMS))
            self._target.journal.write(method, number, self._target.condition)
            content = body(number, method, self._target.name, self._content)
        self._answer(content)

    def _answer(self, content: bytes) -> None:
        match self._target.condition:
            case "well":
                self._write(b"200 OK", content)
            case "slow":
                loop = asyncio.get_running_loop()
                self._later = loop.call_later(SLOW_SECONDS, self._write, b"200 OK", content)
            case "unavailable":
                self._write(b"503 Service Unavailable", b"unavailable")
            case "resetting":
                assert self._transport is not None
                connection = cast("socket.socket", self._transport.get_extra_info("socket"))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                self._transport.abort()

    def _write(self, status: bytes, content: bytes) -> None:
        assert self._transport is not None
        head = b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % (status, len(content))
        self._transport.write(head + content)


async def serve(port: int, name: str, journal: Path) -> None:
    """Serve until SIGTERM; what was answered by then is sent."""
    target = Target(name, Journal(journal))
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # A long backlog, as servers have it: the kernel goes on accepting connections for a frozen process.
    listening = await loop.create_server(lambda: TargetConnection(target), "127.0.0.1", port, backlog=2048)
    await stop.wait()
    listening.close()
    for transport in target.connections:
        transport.close()
    await asyncio.sleep(0)  # connections are closed in the next turn


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
