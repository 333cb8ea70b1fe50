"""``python -m bench.attacks.probe PORT SECONDS RATE [tls]``: the others, who want to be served as if nobody attacked.

Requests come at a fixed rate, an authenticated GET and a small POST in turn, over ten connections, each of which is replaced
after ten requests: others come anew as well. A wait counts from when its request was due, that for a free connection and
for a new one included, so a gateway that stalls cannot hide it. One that fails is told as such. asyncio's timers may be late
by a millisecond, which counts too.
"""

import asyncio
import json
import os
import ssl
import sys
from collections import Counter
from dataclasses import dataclass, field

PATIENCE = 10.0
"""Seconds after which one gives up."""

CONNECTIONS = 10
_REQUESTS = 10  # on each connection
_BODY = b'{"name":"Ada Lovelace","quantity":3}'


class _Failed(Exception):
    """An answer that says no."""


@dataclass
class _Connection:
    """One of the connections, open or not."""

    left: int = 0
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].transport.abort()
            self.streams = None


@dataclass
class Others:
    """What was found: waits of answered requests in seconds, and what became of the others."""

    port: int
    requests: tuple[bytes, ...]
    context: ssl.SSLContext | None
    waits: list[float] = field(default_factory=list[float])
    failed: Counter[str] = field(default_factory=Counter[str])

    async def run(self, seconds: float, rate: float) -> None:
        """Ask for so long, and wait for all answers."""
        loop = asyncio.get_running_loop()
        free: asyncio.Queue[_Connection] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            free.put_nowait(_Connection())
        begun = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(int(seconds * rate)):
                due = begun + number / rate
                await asyncio.sleep(due - loop.time())
                group.create_task(self._one(self.requests[number % len(self.requests)], due, free))
        while not free.empty():
            free.get_nowait().close()

    async def _one(self, request: bytes, due: float, free: "asyncio.Queue[_Connection]") -> None:
        connection: _Connection | None = None
        try:
            async with asyncio.timeout_at(due + PATIENCE):
                connection = await free.get()
                await self._ask(connection, request)
            self.waits.append(asyncio.get_running_loop().time() - due)
        except (OSError, EOFError, _Failed) as error:  # TimeoutError is an OSError, IncompleteReadError an EOFError
            self.failed[str(error) if isinstance(error, _Failed) else type(error).__name__] += 1
            if connection is not None:
                connection.close()
        finally:
            if connection is not None:
                free.put_nowait(connection)

    async def _ask(self, connection: _Connection, request: bytes) -> None:
        if connection.left == 0:
            connection.close()
        if connection.streams is None or connection.streams[0].at_eof():  # an idle one may have been closed
            connection.close()
            connection.streams = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context)
            connection.left = _REQUESTS
        connection.left -= 1
        reader, writer = connection.streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        if length:
            await reader.readexactly(int(length))
        if not length or b"\r\nconnection: close" in head:
            connection.left = 0
        if not head.startswith(b"http/1.1 2"):
            raise _Failed(head[9:12].decode("latin-1"))


def requests(token: str) -> tuple[bytes, ...]:
    """Return what is asked for, in turn."""
    get = f"GET /mine HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n"
    post = "POST /items HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length"
    return get.encode(), f"{post}: {len(_BODY)}\r\n\r\n".encode() + _BODY


def _anybody() -> ssl.SSLContext:
    """Trust any certificate: what is measured is time."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _main(port: int, seconds: float, rate: float, *, tls: bool) -> Others:
    others = Others(port, requests(os.environ["BENCH_TOKEN"]), _anybody() if tls else None)
    await others.run(seconds, rate)
    return others


if __name__ == "__main__":
    match sys.argv[1:]:
        case [port, seconds, rate, *more] if more in ([], ["tls"]):
            found = asyncio.run(_main(int(port), float(seconds), float(rate), tls=bool(more)))
            print(json.dumps({"waits": [wait * 1000 for wait in found.waits], "failed": found.failed}))
        case _:
            sys.exit("python -m bench.attacks.probe PORT SECONDS RATE [tls]")
