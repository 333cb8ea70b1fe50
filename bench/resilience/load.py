"""``python -m bench.resilience.load PORT SECONDS READS WRITES PATIENCE``: clients, each request on a connection of its own.

READS GETs and WRITES POSTs per second are sent when they are due, whether others have been answered or not: time counts from
then. Each POST has content that no other has. The program prints when it began, then one line of JSON for each request.
"""

import asyncio
import heapq
import json
import sys
from collections.abc import Iterator
from time import monotonic
from typing import NamedTuple

from bench.resilience.service import ITEMS, body

OK, WRONG, LOST = "ok", "wrong", "lost"
"""What can become of a request besides a status: its own answer; the answer to another; no complete answer in time."""

_METHODS_WITH_BODY = ("POST", "PUT")
_SUCCESS = b"HTTP/1.1 200 "


class Sent(NamedTuple):
    """A request: when it was due (``time.monotonic``), the seconds until the end of its answer, and what became of it."""

    number: int
    method: str
    due: float
    seconds: float
    result: str

    @property
    def failed(self) -> bool:
        """Whether its client did not get the answer it asked for."""
        return self.result != OK


def content(number: int, method: str) -> bytes:
    """Return the body of a request, which no other has."""
    return b"content of %d " % number * 5 if method in _METHODS_WITH_BODY else b""


async def send(port: int, number: int, method: str, patience: float) -> str:
    """Send one request; return ``ok``, ``wrong``, ``lost``, or the status of an answer without success."""
    sent = content(number, method)
    length = f"content-length: {len(sent)}\r\n" if method in _METHODS_WITH_BODY else ""
    head = f"{method} {ITEMS}{number} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n{length}\r\n"
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + sent)
            answer = await reader.read()
    except OSError:  # TimeoutError too
        return LOST
    finally:
        if writer is not None:
            writer.close()
    return result_of(answer, number, method, sent)


def result_of(answer: bytes, number: int, method: str, sent: bytes) -> str:
    """Return what the bytes of an answer mean for the request with ``number``."""
    head, end, received = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
    if not end or (length and len(received) != int(length)):
        return LOST
    if not head.startswith(_SUCCESS):
        return head[9:12].decode("latin-1")
    target = received.split(b" ", 3)[2:3]
    return OK if target and received == body(number, method, target[0].decode("latin-1"), sent) else WRONG


def schedule(seconds: float, reads: float, writes: float) -> Iterator[tuple[float, str]]:
    """Yield when each request is due, in seconds from the start, and its method.

    If one rate were a multiple of the other, round robin would send all POSTs to the same target.
    """
    gets = ((number / reads, "GET") for number in range(int(seconds * reads)))
    posts = (((number + 0.5) / writes, "POST") for number in range(int(seconds * writes)))
    return heapq.merge(gets, posts)


async def run(port: int, seconds: float, reads: float, writes: float, patience: float) -> list[Sent]:
    """Send what is due within ``seconds``, and wait for all answers."""
    found: list[Sent] = []

    async def one(number: int, method: str, due: float) -> None:
        result = await send(port, number, method, patience)
        found.append(Sent(number, method, due, monotonic() - due, result))

    started = monotonic()
    print(started, flush=True)
    async with asyncio.TaskGroup() as group:
        for number, (offset, method) in enumerate(schedule(seconds, reads, writes)):
            await asyncio.sleep(started + offset - monotonic())
            group.create_task(one(number, method, started + offset))
    return sorted(found)


if __name__ == "__main__":
    import uvloop

    _, port, *numbers = sys.argv
    for sent in uvloop.run(run(int(port), *map(float, numbers))):
        print(json.dumps(sent))
