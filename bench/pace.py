"""A load in Python: at a fixed rate (each latency counted from when its request was due, so that a gateway that stalls
cannot hide it), or with rate 0 as fast as the connections go.

``select`` and not asyncio: its time-outs are exact to microseconds, while uvloop's timers tick in milliseconds and would
send the requests of one in a burst.
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


class Answer:
    """One answer as it comes in."""

    __slots__ = ("_end", "_got", "_head", "_length", "due")

    def __init__(self, due: float) -> None:
        """``due`` is when its request ought to have been sent."""
        self.due = due
        self._head = b""
        self._got = 0
        self._length: int | None = None
        self._end = b""

    @property
    def failed(self) -> bool:
        """Whether its status is an error."""
        return not self._head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3"))

    def take(self, data: bytes) -> bool:
        """Take what came; return whether the answer is whole."""
        if self._got == 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return False
            head, data = self._head[: end + 2].lower(), self._head[end + 4 :]
            if _LENGTH in head:
                self._length = int(head.partition(_LENGTH)[2].partition(b"\r\n")[0])
            self._got = 1  # past the head
        self._got += len(data)
        self._end = (self._end + data)[-5:]
        return self._end == b"0\r\n\r\n" if self._length is None else self._got > self._length


def pace(port: int, request: bytes, connections: int, seconds: float, rate: float) -> dict[str, float]:
    """Return requests, seconds, errors, and the median and 99th percentile of latency in milliseconds."""
    idle: list[socket.socket] = []
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port), 60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        idle.append(connection)
    busy: dict[socket.socket, Answer] = {}
    waiting: deque[float] = deque()
    times: list[float] = []
    errors = 0
    begun = now = perf_counter()
    due = begun
    while now < begun + seconds:
        while rate and due <= now:
            waiting.append(due)
            due += 1 / rate
        while idle and (waiting or not rate):
            connection = idle.pop()
            busy[connection] = Answer(waiting.popleft() if rate else now)
            connection.sendall(request)
        left = begun + seconds - now
        readable, _, _ = select.select(busy, [], [], max(0.0, min(left, due - perf_counter()) if rate else left))
        for connection in readable:
            data = connection.recv(1 << 20)
            if not data:
                raise ConnectionError("closed by the server")
            if busy[connection].take(data):
                answer = busy.pop(connection)
                times.append(perf_counter() - answer.due)
                errors += answer.failed
                idle.append(connection)
        now = perf_counter()
    times.sort()
    return {
        "requests": len(times),
        "seconds": now - begun,
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
    print(json.dumps(pace(int(port), _request(path), int(connections), float(seconds), float(rate))))
