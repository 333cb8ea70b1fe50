"""The guard of the client's side: what a request must keep to before anybody serves it, and while its body comes.

1. ``parse``                a head that grows and a body that flows are looked at once per read, or part of one
2. ``on_headers_complete``  the rules (``limen.engines.direct.rules``) and limits of the head, before anything is forwarded
3. ``serve``                whose request it is: uvicorn's here, a subclass may know better

What fails ends with ``refuse`` of ``timeouts``. The hot path does its sums per read, not per header line.
"""

import asyncio
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from limen import pipeline
from limen.engines.direct import rules
from limen.engines.direct import timeouts as patience
from limen.engines.direct.reading import SMALL
from limen.engines.direct.shared import LocalReply, ResumedBodyCallbacks
from limen.engines.direct.timeouts import (
    BODY,
    BODY_TIME,
    DISCARDING,
    HEAD,
    HEAD_TIME,
    IDLE,
    KEPT,
    OFF,
    REST,
    PatientProtocol,
)
from limen.errors import AGAIN, Fault, Kind
from limen.http.headers import Head
from limen.http.replies import Reply
from limen.observe.traces import logger
from limen.runtime.host import EngineHost

_log = logger("limen.direct")

# As a number: looking for a byte as bytes raises and clears a TypeError within, which is 1,600 instructions.
_HASH: Final = 0x23

# Bytes by which the framing of a body's chunks may be more than its content. A chunk costs the same whatever its size:
# without a bound, those of one byte would be the dearest way to say nothing. These are 16,000 of them.
MOST_FRAMING: Final = 65536

# Chunks that are few for one step.
_FEW: Final = 16

# Bytes of framing that a chunk may have: 16 digits, two line ends, and some air.
_CHUNK: Final = 24


# What the parser says of a method that it does not know, and of one that is another protocol's.
_OF_METHOD: Final = ("Invalid method encountered", "Expected space after method")
_OF_RTSP: Final = "Invalid method for HTTP"

_TOO_MUCH: Final = "The request body has too much besides content."


class Stop(Exception):
    """Ends the parser from within a callback."""


class GuardedProtocol(PatientProtocol):
    """One client connection. For ``uvicorn --http limen.engines.direct:GuardedProtocol``; serves any ASGI application."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Made by uvicorn for each connection; ``app_state`` is what the application's lifespan has left."""
        super().__init__(config, server_state, app_state, _loop)
        # Without this leniency, which uvicorn sets, what follows a request with Connection: close is no second request.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self.content = 0  # bytes of the body that are content
        self.version = "1.1"
        self._fault: Fault | None = None
        self.fed = 0  # bytes read since the head began, or more
        self._begins = b""  # what was read, where a request begins with it
        self._read = b""  # what is parsed now
        self._unknown: bytes | None = None  # the line of a request whose method the parser does not know
        self._method = b""  # of a request whose method has not come whole, what has come
        self._head_bytes = -1  # of a head that comes in pieces
        self._chunked = False
        self._chunks = self._chunks_before = 0
        self._few = False  # of them have come with the last read, or step
        self._tunnel = False
        self._framing: bytes | None = None
        self._pieces: list[bytes] | None = None  # content that came in chunks, of this read

    # --- asyncio.Protocol ---

    def data_received(self, data: bytes) -> None:
        """Parse what has come: a small read at once, else in steps."""
        size = len(data)
        reading = self.reading
        if self.stage == DISCARDING:
            self.discard(size)
            reading.thrown_away(size)
            return
        if size > SMALL or not reading.free():
            reading.take(data)
        elif not self.shared.turns.admit_small_read():
            reading.keep(data)
        else:
            self.parse(data)
            if reading.in_line():
                reading.go_on()

    def parse(self, data: bytes) -> None:
        """Parse a read, or a part of one."""
        if self._unknown is not None:
            self._spell(data)
            return
        size = len(data)
        stage = self.stage
        self._read = data
        if stage == IDLE:
            self.fed = size
            self._begins = data
            self._method = b""
        else:
            self.fed += size
            self._begins = b""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on(data, upgrade)
            return
        except httptools.HttpParserError as error:
            self._unreadable(error)
            return
        if self._pieces is not None:
            self._give()
        stage = self.stage
        if stage == HEAD:
            self._grows(data)
        elif stage == BODY:
            self._flows(data)

    # --- httptools ---

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.begin_head()
        super().on_message_begin()

    def begin_head(self) -> None:
        """Take note of it, unless the request before has said that it is the last."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.keep_alive:
            self.stage = DISCARDING
            self.discard(self.reading.clear())
            raise Stop
        self.stage = HEAD
        self._head_bytes = -1
        self.content = self._chunks = self._chunks_before = 0
        self._chunked = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header line; trailers never become headers (RFC 9110 section 6.5.1)."""
        if self.stage == HEAD:
            super().on_header(name, rules.field(name, value))

    def on_headers_complete(self) -> None:
        """Apply the rules and limits of a head, then let it be served."""
        parser: Any = self.parser
        method: bytes = parser.get_method()
        head = Head(self.headers)
        self.version = version = self._version(method)
        fault = rules.check(method, version, head)
        if version == "1.0":
            self.expect_100_continue = False  # RFC 9110 section 10.1.1: whoever speaks 1.0 cannot mean it
        if fault is None:
            fault = self._too_large(method)
        url = self.url
        if fault is None and (url[:1] != b"/" or _HASH in url or not url.isascii()):
            fault = self._target(method, head)
            head = Head(self.headers)
        if fault is None and self.shared.running + len(self.tasks) >= self.limits.requests:
            fault = Fault(Kind.OVERLOADED, headers=AGAIN)
        if fault is not None:
            self._fault = fault
            raise Stop
        self.stage = BODY
        if self.timing != OFF:
            self.disarm()
        if parser.should_upgrade():
            self._upgrades(method, head)
        if self.url == b"*":
            request_id = pipeline.request_id(head, self.shared.fresh)
            reply = Reply(204, [(b"x-request-id", request_id.encode())], b"")
            self.queue(LocalReply(self, reply, None, method=method, path=b"*", request_id=request_id))
        else:
            self.serve(method, head)

    def serve(self, method: bytes, head: Head) -> None:
        """Serve a request whose head is in order; here uvicorn does.

        uvicorn stops reading while a request is in line, and then nothing tells that the client has left.
        """
        if self.url.endswith(b"?") and self.url.count(b"?") == 1:
            scope: Any = self.scope
            scope.setdefault("extensions", {})[pipeline.EMPTY_QUERY] = {}
        paused = self.flow.read_paused
        super().on_headers_complete()
        if not paused:
            self.flow.resume_reading()

    def on_body(self, body: bytes) -> None:
        """Count a piece of content; those of chunks go on together, or each would cost what a body costs."""
        self.content += len(body)
        if self._pieces is None:
            self.content_came(body)
        else:
            self._pieces.append(body)

    def content_came(self, body: bytes) -> None:
        """Give content to whose it is; here that is uvicorn's."""
        super().on_body(body)

    def on_chunk_header(self) -> None:
        """Count a chunk."""
        self._chunks += 1
        if self._pieces is None:
            self._pieces = []

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.end_message():
            super().on_message_complete()

    def end_message(self) -> bool:
        """Take note of it; False where the parser errs: it takes content after an upgrade for a tunnel's."""
        if self._framing is not None or self.stage == DISCARDING:
            return False  # refused while it came: the connection is about to end, within the time of lingering
        if (self._pieces is not None or self._chunked) and self._is_padded():
            self._fault = Fault(Kind.BAD_BODY, _TOO_MUCH)
            raise Stop
        if self._pieces is not None:
            self._give()
        self.stage = IDLE
        if self.timing != OFF:
            self.disarm()
        cycle: Any = self.cycle
        if cycle is not None and cycle.response_complete and not self.transport.is_closing():
            self.arm(KEPT, self.limits.keepalive)
        return True

    # --- uvicorn ---

    def handle_websocket_upgrade(self) -> None:
        """Give the connection away."""
        self.forget()
        self.stage = DISCARDING
        self.reading.give_away()
        super().handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        return self._tunnel

    def content_left(self) -> int:
        """Return how many bytes of a body of known length are still to come, 0 where that is not known."""
        if self.stage != BODY:
            return 0
        lengths = [value for name, value in self.headers if name == b"content-length"]
        return max(int(lengths[0]) - self.content, 0) if lengths and lengths[0].isdigit() else 0

    def is_chunked(self) -> bool:
        """Tell whether what comes is a body in chunks."""
        return self.stage == BODY and self._chunked

    def chunks_are_large(self) -> bool:
        """Tell whether what comes is a body in chunks, of which the last step had few."""
        return self.stage == BODY and self._chunked and self._few

    # --- inside ---

    def _give(self) -> None:
        """Give on what has come in chunks, as one piece."""
        pieces, self._pieces = self._pieces, None
        if pieces:
            self.content_came(b"".join(pieces))

    def _version(self, method: bytes) -> str:
        """Return the version of the head; the parser, which formats a text for it, is asked only where it does not show."""
        begins, self._begins = self._begins, b""  # what else has come with it may begin with another version
        if begins.startswith(method + b" " + self.url + b" HTTP/1.1\r"):
            return "1.1"
        parser: Any = self.parser
        version: str = parser.get_http_version()
        return version

    def _too_large(self, method: bytes) -> Fault | None:
        limits = self.limits
        if len(self.headers) > limits.fields:
            return Fault(Kind.HEAD_TOO_LARGE, cause=f"more than {limits.fields} fields")
        if self.fed <= limits.request_line:
            return None
        line, head = rules.weight(method, self.url, self.headers)
        if line > limits.request_line:
            return Fault(Kind.URI_TOO_LONG, cause=f"more than {limits.request_line} bytes")
        if head > limits.head:
            return Fault(Kind.HEAD_TOO_LARGE, cause=f"more than {limits.head} bytes")
        return None

    def _target(self, method: bytes, head: Head) -> Fault | None:
        found = rules.origin(self.url, method, head)
        if isinstance(found, Fault):
            return found
        self.url, authority = found
        if authority and not head.all(b"host"):
            self.headers.append((b"host", authority))
        return None

    def _grows(self, data: bytes) -> None:
        """Bound a head that is not whole yet, and its time."""
        limits = self.limits
        self._method = b"" if self.url else self._method + data
        if self._head_bytes < 0:
            # The newest line is still with the parser, even when it is whole: it could be folded.
            lines = rules.weight(b"", self.url, self.headers)[1] if self.headers else 0
            # Without a line, behind something else in this read, nothing tells where it begins: then later reads count.
            here = bool(self.headers or self._begins)
            self._head_bytes = lines + (len(data) - (data.rfind(b"\n", 0, len(data) - 1) + 1) if here else 0)
            if self.timing == OFF or self.timing == KEPT:
                self.arm(HEAD_TIME, limits.head_time)
        else:
            self._head_bytes += len(data)
        if len(self.url) > limits.request_line - 12 or (not self.headers and not self.url and self._head_bytes > 64):
            self.refuse(Fault(Kind.URI_TOO_LONG, cause=f"more than {limits.request_line} bytes"))
        elif self._head_bytes > limits.head or len(self.headers) > limits.fields:
            self.refuse(Fault(Kind.HEAD_TOO_LARGE))

    def _flows(self, data: bytes) -> None:
        """Bound what a body has besides content, and its time; of one that nobody wants, how much there is of it."""
        if self.timing == REST:
            self._chunked = self._chunked or any(name == b"transfer-encoding" for name, _ in self.headers)
            self.discard(len(data))
            return
        pace, now = self.pace, self.loop.time()
        if self.timing != BODY_TIME:
            parser: Any = self.parser
            before = self._head_bytes
            pace.begin(rules.begun(data, parser.get_method(), self.url, self.headers, before=before), now)
            self._chunked = any(name == b"transfer-encoding" for name, _ in self.headers)
            self.arm(BODY_TIME, self.limits.body_silence / patience.LOOKS)
        else:
            pace.add(len(data), now)
        if not self._chunked:
            return
        self._few = self._chunks - self._chunks_before <= _FEW
        self._chunks_before = self._chunks
        besides = pace.raw - self.content
        if besides - _CHUNK * self._chunks > self.limits.chunk_overhead:
            self.refuse(Fault(Kind.BAD_BODY, _TOO_MUCH))
        elif besides - self.content > MOST_FRAMING:
            self.refuse(Fault(Kind.BAD_BODY, "The chunks of the request body are too small."))

    def _is_padded(self) -> bool:
        """Tell whether a body that ends with this read has too much besides content: nobody looks at it afterwards.

        A step ends where a body does, if not before. A small read may hold other requests behind it, and is let pass.
        """
        data = self._read
        if len(data) <= SMALL or self.timing == REST:
            return False
        if self.timing == BODY_TIME:
            raw = self.pace.raw + len(data)
        else:
            parser: Any = self.parser
            raw = rules.begun(data, parser.get_method(), self.url, self.headers, before=self._head_bytes)
        return raw - self.content - _CHUNK * self._chunks > self.limits.chunk_overhead

    def _upgrades(self, method: bytes, head: Head) -> None:
        """Decide whether a request that asks for another protocol gets it: only a WebSocket, and never on a plain route."""
        self._tunnel = method == b"GET" and super()._should_upgrade() and not self._is_plain(method)
        if self._tunnel:
            return
        length = head.all(b"content-length")
        if head.all(b"transfer-encoding"):
            self._framing = b"%b / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" % method
        elif length and length[0].strip(b"0"):
            self._framing = b"%b / HTTP/1.1\r\ncontent-length: %b\r\n\r\n" % (method, length[0])

    def _is_plain(self, method: bytes) -> bool:
        door: EngineHost | None = self.app_state.get("limen")
        path, _, query = self.url.partition(b"?")
        return door is not None and pipeline.route(door.live().table, method, path, query) is not None

    def _go_on(self, data: bytes, upgrade: httptools.HttpParserUpgrade) -> None:
        """Read on behind a head that asked for an upgrade which it does not get: there the parser has stopped."""
        offset: int = upgrade.args[0]
        if self._tunnel:
            # A client has to wait for the answer (RFC 6455 section 4.1); but a frame that is lost garbles all that follow.
            early = data[offset:] + self.reading.take_back()
            self.handle_websocket_upgrade()
            if early and not self.transport.is_closing():
                taker: Any = self.transport.get_protocol()
                taker.data_received(early)
            return
        framing, self._framing = self._framing, None
        if framing is not None:
            self.parser = httptools.HttpRequestParser(ResumedBodyCallbacks(self))
            self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
            self.parser.feed_data(framing)
        if rest := data[offset:]:
            self.reading.put_back(rest)

    def _spell(self, data: bytes) -> None:
        """Refuse a request whose method the parser does not know, once its line is whole: how it was read changes nothing."""
        assert self._unknown is not None
        line, end, _ = (self._unknown + data).partition(b"\n")
        if end:
            known = rules.is_request_line(line, whole=True)
            self.refuse(Fault(Kind.NOT_IMPLEMENTED if known else Kind.BAD_REQUEST, cause="no method that is known"))
        elif len(line) > self.limits.request_line:
            self.refuse(Fault(Kind.URI_TOO_LONG, cause=f"more than {self.limits.request_line} bytes"))
        elif not rules.is_request_line(line, whole=False):
            self.refuse(Fault(Kind.BAD_REQUEST, cause="no method that is known"))
        else:
            self._unknown = line
            if self.timing != HEAD_TIME:
                self.arm(HEAD_TIME, self.limits.head_time)

    def _unreadable(self, error: Exception) -> None:
        stage, fault = self.stage, self._fault
        if stage == DISCARDING:
            return
        cycle: Any = self.cycle
        if fault is None:
            if isinstance(error, httptools.HttpParserCallbackError):
                _log.error("a request could not be served", exc_info=error)
                fault = Fault(Kind.INTERNAL_ERROR)
            elif stage == IDLE and cycle is not None and not cycle.keep_alive:
                self.stage = DISCARDING  # data after a request that ends the connection
                return
            elif stage == BODY:
                fault = Fault(Kind.BAD_BODY, cause=str(error))
            elif str(error).startswith(_OF_RTSP):
                fault = Fault(Kind.NOT_IMPLEMENTED, cause=str(error))
            elif str(error).startswith(_OF_METHOD):
                self.stage = HEAD
                self._unknown = b""
                self._spell(rules.refused_line(self._method + self._read))
                return
            else:
                preface = "PRI/Upgrade" in str(error)
                fault = Fault(Kind.VERSION_NOT_SUPPORTED if preface else Kind.BAD_REQUEST, cause=str(error))
        self.refuse(fault)
