"""A load generator in Python: at a fixed rate (latency counts from when a request was due, which avoids coordinated
omission), or with rate 0 as fast as the connections allow.

It uses ``select`` and not asyncio: the timeouts of ``select`` are exact to microseconds, while uvloop's timers tick in
milliseconds and would send the requests of one tick in a burst.
"""

import json
import os
import select
import socket
import sys
from collections import deque
from pathlib import Path
from time import perf_counter

_LENGTH = b"\r\ncontent-length: "


class ResponseReader:
    """Reads one response from its pieces."""

    __slots__ = ("_head", "_length", "_received", "_tail", "due")

    def __init__(self, due: float) -> None:
        """``due`` is when the request should have been sent."""
        self.due = due
        self._head = b""
        self._received = 0
        self._length: int | None = None
        self._tail = b""

    @property
    def failed(self) -> bool:
        """Whether its status is an error."""
        return not self._head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3"))

    def feed(self, data: bytes) -> bool:
        """Add received data; return whether the response is complete."""
        if self._received == 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return False
            head, data = self._head[: end + 2].lower(), self._head[end + 4 :]
            if _LENGTH in head:
                self._length = int(head.partition(_LENGTH)[2].partition(b"\r\n")[0])
            self._received = 1  # past the head
        self._received += len(data)
        self._tail = (self._tail + data)[-5:]
        return self._tail == b"0\r\n\r\n" if self._length is None else self._received > self._length


def generate(port: int, request: bytes, connections: int, seconds: float, rate: float) -> dict[str, float]:
    """Return requests, seconds, errors, and the median and 99th percentile of latency in milliseconds."""
    idle: list[socket.socket] = []
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port), 60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        idle.append(connection)
    in_flight: dict[socket.socket, ResponseReader] = {}
    due_times: deque[float] = deque()
    times: list[float] = []
    errors = 0
    started = now = perf_counter()
    due = started
    while now < started + seconds:
        while rate and due <= now:
            due_times.append(due)
            due += 1 / rate
        while idle and (due_times or not rate):
            connection = idle.pop()
            in_flight[connection] = ResponseReader(due_times.popleft() if rate else now)
            connection.sendall(request)
        seconds_left = started + seconds - now
        readable, _, _ = select.select(
            in_flight, [], [], max(0.0, min(seconds_left, due - perf_counter()) if rate else seconds_left)
        )
        for connection in readable:
            data = connection.recv(1 << 20)
            if not data:
                raise ConnectionError("closed by the server")
            if in_flight[connection].feed(data):
                response = in_flight.pop(connection)
                times.append(perf_counter() - response.due)
                errors += response.failed
                idle.append(connection)
        now = perf_counter()
    times.sort()
    return {
        "requests": len(times),
        "seconds": now - started,
        "errors": errors,
        "p50": times[len(times) // 2] * 1000,
        "p99": times[len(times) * 99 // 100] * 1000,
    }


def _request(path: str) -> bytes:
    """Build the request from the environment, as wrk.lua does."""
    lines = [f"{os.environ['BENCH_METHOD']} {path} HTTP/1.1", "host: bench"]
    if token := os.environ["BENCH_TOKEN"]:
        lines.append(f"authorization: Bearer {token}")
    body = b""
    if file := os.environ["BENCH_BODY_FILE"]:
        body = Path(file).read_bytes()
        lines += [f"content-type: {os.environ['BENCH_MEDIA_TYPE']}", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


if __name__ == "__main__":
    _, port, path, connections, seconds, rate = sys.argv
    print(json.dumps(generate(int(port), _request(path), int(connections), float(seconds), float(rate))))
