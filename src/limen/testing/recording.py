"""What a scripted service got: the latest requests, each with its head and the begin of its body, and exact counts."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

KEPT: Final = 10_000
"""Requests that are kept at most; of more, the latest."""

KEPT_BODY: Final = 16 * 1024
"""Bytes of a body that are kept at most; of more, the first."""


@dataclass(slots=True)
class ReceivedRequest:
    """One request, as far as the service has read it."""

    head: bytes
    """With the empty line."""

    connection: int
    """Which connection it came on; the first is 1."""

    body: bytearray = field(default_factory=bytearray)
    """Without the framing of chunks; the first ``KEPT_BODY`` bytes."""

    length: int = 0
    """How many bytes of the body were read."""

    complete: bool = False
    """Whether the body was read to its end."""

    @property
    def method(self) -> bytes:
        """The method."""
        return self.head.split(b" ", 1)[0]

    @property
    def target(self) -> bytes:
        """The request target: the path and the query."""
        return self.head.split(b"\r\n", 1)[0].split(b" ")[1]

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    def value(self, name: bytes) -> bytes | None:
        """Return the value of the first field ``name``, which is in lower case, or None."""
        for line in self.head.split(b"\r\n")[1:]:
            found, _, value = line.partition(b":")
            if found.lower() == name:
                return value.strip()
        return None

    def add(self, part: bytes) -> None:
        """Take note of a part of the body."""
        self.length += len(part)
        self.body += part[: max(0, KEPT_BODY - len(self.body))]


class Recording:
    """The requests and the counts of one service. Counts are exact; of the requests, the latest ``KEPT`` are there."""

    __slots__ = ("connections", "heads", "in_progress", "most_in_progress", "received", "refusals", "resets", "total")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.heads: list[bytes] = []
        self.received: deque[ReceivedRequest] = deque(maxlen=KEPT)
        self.in_progress = 0
        self.forget()

    def forget(self) -> None:
        """Begin again with nothing but the requests that are in progress."""
        self.heads.clear()
        self.received.clear()
        self.total = 0
        self.connections = 0
        self.resets = 0
        self.refusals = 0  # they are among the connections
        self.most_in_progress = self.in_progress

    def add(self, head: bytes, connection: int) -> ReceivedRequest:
        """Record a request whose head was read."""
        if len(self.heads) >= KEPT:
            del self.heads[0]
        self.heads.append(head)
        request = ReceivedRequest(head, connection)
        self.received.append(request)
        self.total += 1
        return request

    def begin(self) -> None:
        """Count a request that is in progress from now on."""
        self.in_progress += 1
        self.most_in_progress = max(self.most_in_progress, self.in_progress)

    def end(self) -> None:
        """Count one that is not in progress any more."""
        self.in_progress -= 1

    def __repr__(self) -> str:
        """Show the counts."""
        return (
            f"<Recording {self.total} requests on {self.connections} connections, {self.resets} resets, "
            f"{self.refusals} refusals, {self.in_progress} in progress>"
        )
