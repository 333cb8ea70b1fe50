"""Reads requests from a client's bytes, and applies the rules and limits that a request must keep before anybody serves it.

1. ``parse``                a head that grows and a body that flows are looked at once per read, or part of one
2. ``on_headers_complete``  the rules (``rules``) and limits of the head
3. the connection           finds whose request it is, and gets the body: ``enqueue``, ``content_came``, ``request_ended``

A request that breaks a rule is refused: see ``refuse`` of the connection. Sizes are checked once per read, which is cheaper
than once per header line.
"""

from typing import TYPE_CHECKING, Any, Final, final

import httptools

from limen.engines.direct import rules
from limen.engines.direct.body_meter import BodyMeter
from limen.engines.direct.connection_timer import BODY_TIME, HEAD_TIME, KEEP_ALIVE, LOOKS, OFF, REST_OF_BODY
from limen.engines.direct.input_buffer import SMALL
from limen.engines.direct.stages import BODY, DISCARDING, HEAD, IDLE
from limen.engines.direct.upgrade import ResumedBodyCallbacks, framing_head, give_to_websocket, offers_websocket
from limen.errors import RETRY_AFTER, Fault, Kind
from limen.http.headers import Head
from limen.observe.redaction import logger

if TYPE_CHECKING:
    from limen.engines.direct.protocol import GatewayProtocol

_log = logger("limen.direct")

# As a number: looking for a byte as bytes raises and clears a TypeError within, which is 1,600 instructions.
_HASH: Final = 0x23

# What the parser says of a method that it does not know, and of one that is another protocol's.
_OF_METHOD: Final = ("Invalid method encountered", "Expected space after method")
_OF_RTSP: Final = "Invalid method for HTTP"


class Stop(Exception):
    """Ends the parser from within a callback."""


@final
class RequestParser:
    """httptools' parser, and what it has told: ``url`` and ``headers`` of the newest request; ``stage`` of the input."""

    __slots__ = (
        *(
            "_request_start",
            "_callbacks",
            "_connection",
            "_fault",
            "_framing",
            "_head_bytes",
            "_method_read",
            "_parser",
            "_pieces",
            "_current_read",
        ),
        *("_tunnel", "_unknown", "expects_continue", "fed", "headers", "meter", "stage", "url", "version"),
    )

    def __init__(self, connection: "GatewayProtocol") -> None:
        """Nothing has come yet."""
        self._connection = connection
        self._callbacks: Any = self  # what the parser calls
        self._parser: Any = self._new_parser(self)
        self.stage: int = IDLE
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.expects_continue = False
        self.version = "1.1"
        self.fed: int = 0  # bytes read since the head began, or more
        self.meter = BodyMeter(connection.limits)
        self._fault: Fault | None = None
        self._request_start = b""  # what was read, where a request begins with it
        self._current_read = b""  # what is parsed now
        self._unknown: bytes | None = None  # the line of a request whose method the parser does not know
        self._method_read = b""  # of a request whose method has not come whole, what has come
        self._head_bytes: int = -1  # of a head that comes in pieces
        self._tunnel = False
        self._framing: bytes | None = None
        self._pieces: list[bytes] | None = None  # content that came in chunks, of this read

    def _new_parser(self, callbacks: object) -> Any:
        parser = httptools.HttpRequestParser(callbacks)
        # Else what follows a request with Connection: close would be a second request.
        parser.set_dangerous_leniencies(lenient_data_after_close=False)
        return parser

    def close(self) -> None:
        """Let go of the parser, which knows this object: it would wait for the collector."""
        self._parser = self._callbacks = None

    def method(self) -> bytes:
        """Return the method of the newest request."""
        found: bytes = self._parser.get_method()
        return found

    def keeps_alive(self) -> bool:
        """Tell whether another request may follow the newest one."""
        return bool(self._parser.should_keep_alive())

    def parse(self, data: bytes) -> None:
        """Parse a read, or a part of one."""
        if self._unknown is not None:
            self._read_unknown_method(data)
            return
        size = len(data)
        stage = self.stage
        self._current_read = data
        if stage == IDLE:
            self.fed = size
            self._request_start = data
            self._method_read = b""
        else:
            self.fed += size
            self._request_start = b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._continue_behind_offer(data, upgrade)
            return
        except httptools.HttpParserError as error:
            self._unreadable(error)
            return
        if self._pieces is not None:
            self._pass_content_on()
        stage = self.stage
        if stage == HEAD:
            self._check_growing_head(data)
        elif stage == BODY:
            self._check_flowing_body(data)

    # --- httptools ---

    def on_message_begin(self) -> None:
        """Begin a request, unless the one before has said that it is the last."""
        current = self._connection.requests.newest
        if current is not None and not current.keep_alive:
            self.stage = DISCARDING
            self._connection.deadline.discard(self._connection.input.clear())
            raise Stop
        self.stage = HEAD
        self.url = b""
        self.headers = []
        self.expects_continue = False
        self._head_bytes = -1
        self.meter.begin()

    def on_url(self, url: bytes) -> None:
        """Collect the target, which may come in parts."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header line; trailers never become headers (RFC 9110 section 6.5.1)."""
        if self.stage != HEAD:
            return
        name, value = name.lower(), rules.field(name, value)
        if name == b"expect" and value.lower() == b"100-continue":
            self.expects_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Apply the rules and limits of a head, then let it be served."""
        connection = self._connection
        parser = self._parser
        method: bytes = parser.get_method()
        head = Head(self.headers)
        self.version = version = self._version(method)
        fault = rules.check(method, version, head)
        if version == "1.0":
            self.expects_continue = False  # RFC 9110 section 10.1.1: whoever speaks 1.0 cannot mean it
        if fault is None:
            fault = self._too_large(method)
        url = self.url
        if fault is None and (url[:1] != b"/" or _HASH in url or not url.isascii()):
            fault = self._target(method, head)
            head = Head(self.headers)
        if fault is None and connection.is_overloaded():
            fault = Fault(Kind.OVERLOADED, headers=RETRY_AFTER)
        if fault is not None:
            self._fault = fault
            raise Stop
        self.stage = BODY
        if connection.deadline.timing != OFF:
            connection.deadline.disarm()
        if parser.should_upgrade():
            # Only a WebSocket gets another protocol, and never on a route of the gateway's.
            self._tunnel = (
                method == b"GET"
                and offers_websocket(head)
                and connection.requests.is_quiet()
                and connection.dispatcher.serves_websocket()
            )
            if self._tunnel:
                return
            self._framing = framing_head(method, head)
        connection.enqueue(connection.dispatcher.request(method, head))

    def on_body(self, body: bytes) -> None:
        """Count a piece of content; those of chunks go on together, or each would cost what a body costs."""
        self.meter.content += len(body)
        if self._pieces is None:
            self._connection.requests.content_came(body)
        else:
            self._pieces.append(body)

    def on_chunk_header(self) -> None:
        """Count a chunk."""
        self.meter.add_chunk()
        if self._pieces is None:
            self._pieces = []

    def on_message_complete(self) -> None:
        """The request is whole, unless the parser errs: it takes content after an upgrade for a tunnel's."""
        if self._tunnel or self._framing is not None or self.stage == DISCARDING:
            return  # refused while it came: the connection is about to end, within the time of lingering
        if (self._pieces is not None or self.meter.chunked) and self._is_padded():
            self._fault = self.meter.padded()
            raise Stop
        if self._pieces is not None:
            self._pass_content_on()
        self.stage = IDLE
        self._connection.request_ended()

    # --- what the connection asks ---

    def content_left(self) -> int:
        """Return how many bytes of a body of known length are still to come, 0 where that is not known."""
        if self.stage != BODY:
            return 0
        lengths = [value for name, value in self.headers if name == b"content-length"]
        return max(int(lengths[0]) - self.meter.content, 0) if lengths and lengths[0].isdigit() else 0

    def is_chunked(self) -> bool:
        """Tell whether what comes is a body in chunks."""
        return self.stage == BODY and self.meter.chunked

    def chunks_are_large(self) -> bool:
        """Tell whether what comes is a body in chunks, of which the last step had few."""
        return self.stage == BODY and self.meter.chunked and self.meter.few

    # --- inside ---

    def _pass_content_on(self) -> None:
        """Give on what has come in chunks, as one piece."""
        pieces, self._pieces = self._pieces, None
        if pieces:
            self._connection.requests.content_came(b"".join(pieces))

    def _version(self, method: bytes) -> str:
        """Return the version of the head; the parser, which formats a text for it, is asked only where it does not show."""
        begins, self._request_start = (
            self._request_start,
            b"",
        )  # what else has come with it may begin with another version
        if begins.startswith(method + b" " + self.url + b" HTTP/1.1\r"):
            return "1.1"
        version: str = self._parser.get_http_version()
        return version

    def _too_large(self, method: bytes) -> Fault | None:
        limits = self._connection.limits
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

    def _check_growing_head(self, data: bytes) -> None:
        """Bound a head that is not whole yet, and its time."""
        connection = self._connection
        limits = connection.limits
        self._method_read = b"" if self.url else self._method_read + data
        if self._head_bytes < 0:
            # The newest line is still with the parser, even when it is whole: it could be folded.
            lines = rules.weight(b"", self.url, self.headers)[1] if self.headers else 0
            # Without a line, behind something else in this read, nothing tells where it begins: then later reads count.
            here = bool(self.headers or self._request_start)
            self._head_bytes = lines + (len(data) - (data.rfind(b"\n", 0, len(data) - 1) + 1) if here else 0)
            if connection.deadline.timing in (OFF, KEEP_ALIVE):
                connection.deadline.arm(HEAD_TIME, limits.head_time)
        else:
            self._head_bytes += len(data)
        if len(self.url) > limits.request_line - 12 or (not self.headers and not self.url and self._head_bytes > 64):
            connection.refuse(Fault(Kind.URI_TOO_LONG, cause=f"more than {limits.request_line} bytes"))
        elif self._head_bytes > limits.head or len(self.headers) > limits.fields:
            connection.refuse(Fault(Kind.HEAD_TOO_LARGE))

    def _check_flowing_body(self, data: bytes) -> None:
        """Bound what a body has besides content, and its time; of one that nobody wants, how much there is of it."""
        connection, meter = self._connection, self.meter
        timing = connection.deadline.timing
        if timing == REST_OF_BODY:
            meter.chunked = meter.chunked or any(name == b"transfer-encoding" for name, _ in self.headers)
            connection.deadline.discard(len(data))
            return
        now = connection.loop.time()
        if timing != BODY_TIME:
            begun = rules.begun(data, self.method(), self.url, self.headers, before=self._head_bytes)
            meter.pace.begin(begun, now)
            meter.chunked = any(name == b"transfer-encoding" for name, _ in self.headers)
            connection.deadline.arm(BODY_TIME, connection.limits.body_silence / LOOKS)
        else:
            meter.pace.add(len(data), now)
        if (fault := meter.flaw()) is not None:
            connection.refuse(fault)

    def _is_padded(self) -> bool:
        """Tell whether a body that ends with this read has too much besides content: nobody looks at it afterwards.

        A step ends where a body does, if not before. A small read may hold other requests behind it, and is let pass.
        """
        data = self._current_read
        timing = self._connection.deadline.timing
        if len(data) <= SMALL or timing == REST_OF_BODY:
            return False
        if timing == BODY_TIME:
            return self.meter.is_padded(self.meter.pace.raw + len(data))
        return self.meter.is_padded(rules.begun(data, self.method(), self.url, self.headers, before=self._head_bytes))

    def _continue_behind_offer(self, data: bytes, upgrade: httptools.HttpParserUpgrade) -> None:
        """Read on behind a head that asked for an upgrade which it does not get: there the parser has stopped."""
        offset: int = upgrade.args[0]
        if self._tunnel:
            # A client has to wait for the answer (RFC 6455 section 4.1); but a frame that is lost garbles all that follow.
            give_to_websocket(self._connection, data[offset:])
            return
        framing, self._framing = self._framing, None
        if framing is not None:
            self._parser = self._new_parser(ResumedBodyCallbacks(self._callbacks))
            self._parser.feed_data(framing)
        if rest := data[offset:]:
            self._connection.input.put_back(rest)

    def _read_unknown_method(self, data: bytes) -> None:
        """Refuse a request whose method the parser does not know, once its line is whole: how it was read changes nothing."""
        assert self._unknown is not None
        connection = self._connection
        most = connection.limits.request_line
        line, end, _ = (self._unknown + data).partition(b"\n")
        if end:
            known = rules.is_request_line(line, whole=True)
            kind = Kind.NOT_IMPLEMENTED if known else Kind.BAD_REQUEST
            connection.refuse(Fault(kind, cause="no method that is known"))
        elif len(line) > most:
            connection.refuse(Fault(Kind.URI_TOO_LONG, cause=f"more than {most} bytes"))
        elif not rules.is_request_line(line, whole=False):
            connection.refuse(Fault(Kind.BAD_REQUEST, cause="no method that is known"))
        else:
            self._unknown = line
            if connection.deadline.timing != HEAD_TIME:
                connection.deadline.arm(HEAD_TIME, connection.limits.head_time)

    def _unreadable(self, error: Exception) -> None:
        stage, fault = self.stage, self._fault
        if stage == DISCARDING:
            return
        current = self._connection.requests.newest
        if fault is None:
            if isinstance(error, httptools.HttpParserCallbackError):
                _log.error("a request could not be served", exc_info=error)
                fault = Fault(Kind.INTERNAL_ERROR)
            elif stage == IDLE and current is not None and not current.keep_alive:
                self.stage = DISCARDING  # data after a request that ends the connection
                return
            elif stage == BODY:
                fault = Fault(Kind.BAD_BODY, cause=str(error))
            elif str(error).startswith(_OF_RTSP):
                fault = Fault(Kind.NOT_IMPLEMENTED, cause=str(error))
            elif str(error).startswith(_OF_METHOD):
                self.stage = HEAD
                self._unknown = b""
                self._read_unknown_method(rules.refused_line(self._method_read + self._current_read))
                return
            else:
                preface = "PRI/Upgrade" in str(error)
                fault = Fault(Kind.VERSION_NOT_SUPPORTED if preface else Kind.BAD_REQUEST, cause=str(error))
        self._connection.refuse(fault)
