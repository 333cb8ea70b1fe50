"""One exchange on a connection without a socket: the test is the service and decides how its bytes are cut."""

import asyncio
from dataclasses import dataclass, field

from answers import LIMIT
from limen.errors import Fault, Kind
from limen.fairness.scheduler import LoopScheduler
from limen.http.headers import Headers
from limen.upstream.connection import Connection
from limen.upstream.target import Target
from turning import timeless

TARGET = Target.parse("http://localhost:1")


class Wire(asyncio.Transport):
    """A transport that remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@dataclass
class RecordedAnswer:
    """A sink that remembers, and insists on the order of calls."""

    status: int = 0
    reason: bytes = b""
    headers: Headers = field(default_factory=Headers)
    content: bytes = b""
    calls: int = 0
    flushes: int = 0
    ended: bool = False
    kind: Kind | None = None
    cause: str = ""

    def head(self, status: int, reason: bytes, headers: Headers) -> None:
        assert not self.status, "one head only"
        self.status, self.reason, self.headers = status, reason, headers

    def body(self, data: bytes) -> None:
        assert self.status, "no content before the head"
        self.content += data
        self.calls += 1

    def flush(self) -> None:
        assert not self.ended, "nothing follows the end"
        self.flushes += 1

    def end(self) -> None:
        self._once()
        self.ended = True

    def fault(self, fault: Fault) -> None:
        self._once()
        self.kind, self.cause = fault.kind, fault.cause

    def _once(self) -> None:
        assert not self.ended, "told to end twice"
        assert self.kind is None, "told of a fault twice"


@dataclass
class Talk:
    """One connection, one exchange."""

    method: bytes = b"GET"
    limit: int = LIMIT
    whole: bool = True
    lost: int = 0
    turns: LoopScheduler = field(default_factory=timeless)

    def __post_init__(self) -> None:
        self.wire = Wire()
        self.seen = RecordedAnswer()
        self.connection = Connection(TARGET, self.limit, self._on_lost, self.turns)
        self.connection.connection_made(self.wire)
        self.begin()

    def begin(self) -> None:
        self.seen = RecordedAnswer()
        self.connection.start(self.seen, self.method, b"request", whole=self.whole)

    def feed(self, *parts: bytes) -> None:
        for part in parts:
            if self.wire.aborted:
                return
            self.connection.data_received(part)

    def leave(self, error: Exception | None = None) -> None:
        """The service closes, or the connection breaks."""
        if error is None and not self.wire.aborted:
            assert not self.connection.eof_received()
        self.connection.connection_lost(error)

    def _on_lost(self, connection: Connection) -> None:
        assert connection is self.connection
        self.lost += 1
