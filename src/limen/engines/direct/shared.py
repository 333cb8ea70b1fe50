"""What the connections of one worker share, and the small parts that stand in for something else on a guarded one.

``LocalReply`` stands for uvicorn's cycle where the answer is finished already; ``ResumedBodyCallbacks`` stands between a
parser and its protocol while the body of a request that asked for an upgrade is read; ``WriteTimeout`` waits for a client
that takes its answer slowly.
"""

import asyncio
from collections import Counter
from typing import Any, ClassVar, Protocol

from limen.client.limits import MOST_CONNECTIONS, ClientLimits
from limen.engines.asgi.http10 import reset
from limen.engines.direct.idle import Idle
from limen.engines.direct.timers import Timer, Timers
from limen.errors import Fault, Kind
from limen.exchange.ids import RequestIds
from limen.fairness.body_memory import Bodies
from limen.fairness.scheduler import scheduler_of
from limen.http.replies import Reply


class WorkerState:
    """One worker's: ``running`` counts what the direct engine serves now, ``addresses`` the connections of each client.

    ``connections`` is how many there may be, and ``idle`` finds those that make room then.
    """

    __slots__ = ("addresses", "bodies", "connections", "fresh", "idle", "limits", "running", "timers", "turns")

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: ClientLimits, bodies: Bodies) -> None:
        """Nobody is connected yet; ``bodies`` are those that the worker holds."""
        self.limits = limits
        self.bodies = bodies
        self.connections = MOST_CONNECTIONS if limits.connections is None else limits.connections
        self.idle = Idle(loop)
        self.timers = Timers(loop)
        self.turns = scheduler_of(loop)
        self.addresses: Counter[str] = Counter()
        self.running = 0
        self.fresh = RequestIds().fresh  # for what is answered before anybody serves it

    def __repr__(self) -> str:
        """Show what is counted."""
        return f"<WorkerState {self.running} running {self.addresses.total()} connected {self.timers!r}>"


class LocalReplyWriter(Protocol):
    """A connection on which something finished can be said."""

    def say(self, said: "LocalReply") -> None:
        """Write it now."""
        ...


class NoopEvent:
    """Stands for the event that uvicorn sets to wake an ASGI application."""

    def set(self) -> None:
        """Nobody waits."""


class LocalReply:
    """A finished answer, in line like any other; it shows what uvicorn looks at in a cycle."""

    __slots__ = (
        "_speaker",
        "body",
        "disconnected",
        "fault",
        "keep_alive",
        "known",
        "method",
        "more_body",
        "path",
        "reply",
        "request_id",
        "response_complete",
    )

    message_event: ClassVar[NoopEvent] = NoopEvent()
    response_started: ClassVar[bool] = True

    def __init__(
        self,
        speaker: LocalReplyWriter,
        reply: Reply,
        fault: Fault | None,
        *,
        method: bytes,
        path: bytes,
        request_id: str,
        known: tuple[str, str, str] | None = None,
    ) -> None:
        """``fault`` ends the connection; without one it goes on. ``known`` are route, upstream and caller, where they are."""
        self._speaker = speaker
        self.reply = reply
        self.fault = fault
        self.method = method
        self.path = path
        self.request_id = request_id
        self.known = known
        self.keep_alive = fault is None
        self.response_complete = False
        self.disconnected = False
        self.body = bytearray()
        self.more_body = False

    def begin(self) -> None:
        """It is this answer's turn."""
        self._speaker.say(self)


class ResumedBodyCallbacks:
    """Reads a body whose head another parser has read: the first head, which only states the framing, is kept back."""

    def __init__(self, protocol: Any) -> None:
        """``protocol`` gets everything else."""
        self._protocol = protocol
        self._muted = True
        self.on_body = protocol.on_body
        self.on_chunk_header = protocol.on_chunk_header
        self.on_message_complete = protocol.on_message_complete

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._muted:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Pass a piece of the target on."""
        if not self._muted:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Pass a header line on."""
        if not self._muted:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        """Pass on that the head is whole."""
        if self._muted:
            self._muted = False
        else:
            self._protocol.on_headers_complete()


class WriteTimeout:
    """A client that is behind with reading: it must take so many bytes in so many seconds, or it is cut."""

    __slots__ = ("_least", "_protocol", "_seconds", "_size", "_timer", "_transport")

    def __init__(self, protocol: Any) -> None:
        """Nothing waits yet; ``protocol`` has ``transport``, ``shared``, ``version`` and ``cut_by`` of its connection."""
        shared: WorkerState = protocol.shared
        limits = shared.limits
        self._protocol = protocol
        self._transport: asyncio.Transport = protocol.transport
        self._timer = Timer(shared.timers)
        self._seconds = limits.reader_silence
        self._least = max(1, int(limits.body_rate * limits.reader_silence))
        self._size = 0

    def wait(self) -> None:
        """Begin to look."""
        self._size = self._transport.get_write_buffer_size()
        self._timer.set(self, self._seconds)

    def done(self) -> None:
        """It has caught up, or left."""
        self._timer.drop()

    def expired(self) -> None:
        """Look: bytes may have been added meanwhile, but only as long as it was not behind."""
        size = self._transport.get_write_buffer_size()
        if size and self._size - size < self._least:
            self._protocol.cut_by = Fault(Kind.ANSWER_NOT_TAKEN)
            if self._protocol.version == "1.0":
                reset(self._transport)  # the content may have no end but that of the connection
            else:
                self._transport.abort()
        elif size:
            self.wait()
