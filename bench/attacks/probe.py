"""``python -m bench.attacks.probe PORT SECONDS RATE [tls]``: the well-behaved clients, whose latency is measured.

Requests are sent at a fixed rate, an authenticated GET and a small POST in turn, over ten connections, each of which is
replaced after ten requests, since real clients connect anew too. Latency counts from when a request was due, and includes
the wait for a free connection and for a new one, which avoids coordinated omission. Failures are counted separately.
asyncio's timers may be late by a millisecond, which counts too.
"""

import asyncio
import json
import os
import ssl
import sys
from collections import Counter
from dataclasses import dataclass, field

TIMEOUT = 10.0
"""Seconds after which a request has failed."""

CONNECTIONS = 10
_REQUESTS = 10  # on each connection
_BODY = b'{"name":"Ada Lovelace","quantity":3}'


class _ErrorResponse(Exception):
    """A response whose status is no success."""


@dataclass
class _ProbeConnection:
    """A connection, which may not be open yet."""

    requests_left: int = 0
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].transport.abort()
            self.streams = None


@dataclass
class Probe:
    """Sends the requests; keeps the latencies of successful ones in seconds, and counts the failed ones by kind."""

    port: int
    requests: tuple[bytes, ...]
    context: ssl.SSLContext | None
    latencies: list[float] = field(default_factory=list[float])
    failed: Counter[str] = field(default_factory=Counter[str])

    async def run(self, seconds: float, rate: float) -> None:
        """Send requests for ``seconds``, and wait for all responses."""
        loop = asyncio.get_running_loop()
        idle: asyncio.Queue[_ProbeConnection] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            idle.put_nowait(_ProbeConnection())
        started = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(int(seconds * rate)):
                due = started + number / rate
                await asyncio.sleep(due - loop.time())
                group.create_task(self._send_one(self.requests[number % len(self.requests)], due, idle))
        while not idle.empty():
            idle.get_nowait().close()

    async def _send_one(self, request: bytes, due: float, idle: "asyncio.Queue[_ProbeConnection]") -> None:
        connection: _ProbeConnection | None = None
        try:
            async with asyncio.timeout_at(due + TIMEOUT):
                connection = await idle.get()
                await self._exchange(connection, request)
            self.latencies.append(asyncio.get_running_loop().time() - due)
        except (
            OSError,
            EOFError,
            _ErrorResponse,
        ) as error:  # TimeoutError is an OSError, IncompleteReadError an EOFError
            self.failed[str(error) if isinstance(error, _ErrorResponse) else type(error).__name__] += 1
            if connection is not None:
                connection.close()
        finally:
            if connection is not None:
                idle.put_nowait(connection)

    async def _exchange(self, connection: _ProbeConnection, request: bytes) -> None:
        if connection.requests_left == 0:
            connection.close()
        if connection.streams is None or connection.streams[0].at_eof():  # an idle connection may have been closed
            connection.close()
            connection.streams = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context)
            connection.requests_left = _REQUESTS
        connection.requests_left -= 1
        reader, writer = connection.streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        if length:
            await reader.readexactly(int(length))
        if not length or b"\r\nconnection: close" in head:
            connection.requests_left = 0
        if not head.startswith(b"http/1.1 2"):
            raise _ErrorResponse(head[9:12].decode("latin-1"))


def requests(token: str) -> tuple[bytes, ...]:
    """Return the requests that are sent in turn."""
    get = f"GET /mine HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n"
    post = "POST /items HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length"
    return get.encode(), f"{post}: {len(_BODY)}\r\n\r\n".encode() + _BODY


def _unverified_context() -> ssl.SSLContext:
    """Trust any certificate: only time is measured."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _main(port: int, seconds: float, rate: float, *, tls: bool) -> Probe:
    probe = Probe(port, requests(os.environ["BENCH_TOKEN"]), _unverified_context() if tls else None)
    await probe.run(seconds, rate)
    return probe


if __name__ == "__main__":
    match sys.argv[1:]:
        case [port, seconds, rate, *more] if more in ([], ["tls"]):
            probe = asyncio.run(_main(int(port), float(seconds), float(rate), tls=bool(more)))
            print(json.dumps({"waits": [wait * 1000 for wait in probe.latencies], "failed": probe.failed}))
        case _:
            sys.exit("python -m bench.attacks.probe PORT SECONDS RATE [tls]")
