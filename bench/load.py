"""A closed-loop load: each connection sends its next request when the answer to the last one is whole."""

import argparse
import asyncio
import json
from time import perf_counter
from typing import cast

REQUEST = b"GET /api/suppliers HTTP/1.1\r\nhost: bench\r\n\r\n"
_LENGTH = b"\r\ncontent-length: "


class Caller(asyncio.Protocol):
    """One connection. ``times`` are the latencies in seconds; anything but 200 ends the run."""

    def __init__(self, done: "asyncio.Future[None]") -> None:
        self.times: list[float] = []
        self.stopped = False
        self._done = done
        self._held = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._held[:end].lower()
        if not head.startswith(b"http/1.1 200"):
            self._fail(RuntimeError(head.decode("latin-1")))
            return
        length = int(head.partition(_LENGTH)[2].partition(b"\r\n")[0])
        if len(self._held) < end + 4 + length:
            return
        self._held = b""
        self.times.append(perf_counter() - self._sent)
        if not self.stopped:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopped:
            self._fail(exc or ConnectionError("closed by the server"))

    def close(self) -> None:
        self.stopped = True
        if self._transport is not None:
            self._transport.close()

    def _send(self) -> None:
        self._sent = perf_counter()
        assert self._transport is not None
        self._transport.write(REQUEST)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)


async def load(port: int, connections: int, seconds: float) -> dict[str, float]:
    """Return requests, seconds, and the median and 99th percentile of latency in milliseconds."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    callers: list[Caller] = []
    for _ in range(connections):
        _, caller = await loop.create_connection(lambda: Caller(done), "127.0.0.1", port)
        callers.append(caller)
    started = perf_counter()
    loop.call_later(seconds, lambda: done.done() or done.set_result(None))
    await done
    elapsed = perf_counter() - started
    times = sorted(one for caller in callers for one in caller.times)
    for caller in callers:
        caller.close()
    return {
        "requests": len(times),
        "seconds": elapsed,
        "p50": times[len(times) // 2] * 1000,
        "p99": times[len(times) * 99 // 100] * 1000,
    }


if __name__ == "__main__":
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(load(options.port, options.connections, options.seconds))))
