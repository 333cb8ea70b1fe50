"""One HTTP/1.1 connection to a target: it writes a request, and calls a sink with the answer. It knows no pool or retry.

httptools parses answers. A connection may be reused only when request and answer have both ended cleanly and nothing
followed.
"""

import math
from collections.abc import Callable
from typing import Final

import httptools

from limen.errors import Fault, Kind
from limen.fairness.scheduler import LONG_READ, LoopScheduler
from limen.http.connection_auth import names_connection_scheme
from limen.http.headers import Headers
from limen.upstream import answer_rules
from limen.upstream.answer_meter import AnswerMeter
from limen.upstream.answer_sink import AnswerSink
from limen.upstream.flow_control import FlowControlProtocol
from limen.upstream.target import Target

# The share of one connection in a turn of the loop. A read may bring 256 KiB, and uvloop makes up to 32 in a row: after a
# read of ``LONG_READ``, other connections come first. A read that may hold many small chunks (43,000 in 256 KiB) is parsed in
# pieces of ``_SMALL_PIECE`` bytes, or of ``_PIECE`` after a piece with at most ``_FEW_CHUNKS``. A piece with more chunks ends
# the turn.
_PIECE: Final = 16384
_SMALL_PIECE: Final = 4096
_FEW_CHUNKS: Final = 16


class Connection(FlowControlProtocol):
    """A connection that is either idle or busy with one exchange.

    By the clock of the pool, it serves no further request from ``expires_at`` on, and has been idle for too long from
    ``idle_until`` on. ``private`` says that a client may have authenticated the connection itself: it serves nobody else.
    """

    def __init__(
        self, target: Target, head_limit: int, on_lost: Callable[["Connection"], None], scheduler: LoopScheduler
    ) -> None:
        """``head_limit`` bounds an answer's head in bytes; ``on_lost`` is called once, when the connection is lost.

        ``scheduler`` is that of the loop in which the connection is used.
        """
        super().__init__(scheduler)
        self.target = target
        self.expires_at: float = math.inf
        self.idle_until: float = 0.0
        self.private = False
        self.uses = 0
        self._meter = AnswerMeter(head_limit)
        self._on_lost = on_lost
        self._parser: httptools.HttpResponseParser | None = None
        self._sink: AnswerSink | None = None
        self._method = b""
        self._request_done = True
        self._answer_done = True
        self._in_sync = True  # nothing follows the answer, so the next one begins where it ends
        self._answering = False  # some byte of an answer has come
        self._gathered: list[bytes] | None = None  # content of chunks, passed on together: no call for each small chunk
        self._reset()

    # --- what an exchange does ---

    @property
    def reused(self) -> bool:
        """Whether the current exchange is not the first on this connection."""
        return self.uses > 1

    @property
    def answering(self) -> bool:
        """Whether some byte of the answer has come."""
        return self._answering

    @property
    def reusable(self) -> bool:
        """Whether another exchange may begin here."""
        return self._request_done and self._answer_done and self._in_sync and not self.lost

    def start(self, sink: AnswerSink, method: bytes, data: bytes, *, whole: bool) -> None:
        """Begin an exchange: write ``data``, with which the request ends if ``whole``. A lost connection is a fault."""
        self._sink = sink
        self._method = method
        self.uses += 1
        self._request_done = whole
        self._answer_done = False
        self._answering = False
        self._meter.begin()
        self._reset()
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self.write(data)
        if self.lost:
            self._fail(Fault(Kind.UPSTREAM_CLOSED, cause="closed before the request was sent"))

    def finish(self) -> None:
        """Note that the request was written completely."""
        self._request_done = True

    def abort(self) -> None:
        """Drop the connection at once, whatever it is doing; the sink gets no further call."""
        idle, self._sink = self._sink is None and self._answer_done, None
        self._in_sync = False
        self._unparsed = b""
        if not idle:
            self.drop()
        elif self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection at once, as the loop may stop. A running exchange gets a fault."""
        self.close_now()
        self._fail(Fault(Kind.UPSTREAM_CLOSED, cause="the gateway is shutting down"))

    # --- asyncio.Protocol ---

    def data_received(self, data: bytes) -> None:
        """Parse what has come, in pieces where that may be much work."""
        if len(data) <= _SMALL_PIECE or not self._parse_in_pieces(data):
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Parse ``data``. Unsolicited bytes end the connection."""
        parser = self._parser
        if self._sink is None or parser is None:
            self.abort()
            return
        size = len(data)
        if not self._answering and size and data[0] in b"\r\n":
            # Only a server skips empty lines (RFC 9112 section 2.2). This one is left over from the answer before, so the
            # current request counts as unanswered.
            kind = Kind.UPSTREAM_CLOSED if self.reused else Kind.UPSTREAM_PROTOCOL
            self._fail(Fault(kind, cause="an empty line where an answer begins"))
            return
        if not self._answering:
            self._answering = True
            self._is_http_1_1 = data.startswith(b"HTTP/1.1 ")
        meter = self._meter
        meter.read += size
        before = meter.content if self._head_done else -1
        try:
            if size > 1 and data[-1] in b"\r\n":
                self._feed_last_byte_apart(parser, data)
            else:
                parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._pass_gathered_on()
            if self._answer_done:
                # Something followed a complete answer: the answer stands, the connection ends.
                self.abort()
            else:
                self._fail(Fault(Kind.UPSTREAM_PROTOCOL, cause=str(error.__context__ or error)))
            return
        if self._answer_done:
            if not self._in_sync or (self._method == b"HEAD" and data[-1:] != b"\n"):
                # After the head of an answer to HEAD, the parser silently reads on as if there were content.
                self.abort()
            return
        if self._gathered is not None:
            self._pass_gathered_on()
        if not self._head_done:
            if meter.growing_head_is_too_long():
                self._fail(Fault(Kind.UPSTREAM_PROTOCOL, cause=meter.long_head()))
        elif meter.is_padded():
            # Chunk extensions and trailers, which are dropped, and could go on for ever.
            self._fail(Fault(Kind.UPSTREAM_PROTOCOL, cause=meter.padding()))
        elif meter.content != before:
            # Only content is progress. If bytes of a head or of framing were, a service could send them one by one for ever.
            self._flush()

    def eof_received(self) -> bool:
        """Let the transport close; a close-delimited answer ends here."""
        self._parse_unparsed()
        sink = self._sink
        if sink is not None and self._head_done and not self._framed and not self._answer_done:
            self._in_sync = False
            self._end(sink)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange, and tell the pool."""
        self._parse_unparsed()
        ended = exc is None
        if exc is not None and self._sink is not None:
            self._unparsed, ended = self.read_after_reset(exc)
            self._parse_unparsed()
        self.lost = True
        if ended:
            self.eof_received()
        self.resume_writing()
        self._fail(Fault(Kind.UPSTREAM_CLOSED, cause=str(exc or "closed before the answer was whole")))
        self._on_lost(self)
        self._parser = None  # a reference cycle, which would wait for the garbage collector

    # --- httptools ---

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self._answer_done:
            raise httptools.HttpParserError("bytes after the end of the answer")

    def on_status(self, status: bytes) -> None:
        """Collect the reason phrase, which may come in parts."""
        self._reason += status
        self._meter.add_reason(len(status))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header line; trailers are dropped (RFC 9110 section 6.5.1)."""
        if self._head_done:
            self._meter.add_trailer()
            return
        self._headers.append((name.lower(), value))
        if not self._meter.add_line(name, value):
            raise httptools.HttpParserError("too many header lines")

    def on_headers_complete(self) -> None:
        """Pass the head on, unless it is an interim one."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        # The parser is asked only if need be: it formats a text for it.
        version = "1.1" if self._is_http_1_1 else self._parser.get_http_version()
        if (wrong := answer_rules.check(status, version, self._headers)) is not None:
            raise httptools.HttpParserError(wrong)
        if self._meter.head_is_too_long():
            raise httptools.HttpParserError(self._meter.long_head())
        if status < 200:
            return
        if status == 401 and names_connection_scheme(self._headers, b"www-authenticate"):
            self.private = True
        framing_count = answer_rules.framing_count(self._headers)
        if framing_count > 1:
            raise httptools.HttpParserError("ambiguous length of the answer")
        bodyless = self._method == b"HEAD" or status in (204, 304)
        self._framed = bodyless or framing_count == 1
        if version == "1.0" and any(name == b"transfer-encoding" for name, _ in self._headers):
            self._in_sync = False  # RFC 9112 section 6.1: such framing is not to be relied upon for what follows
        self._head_done = True
        if not self._framed or not self._parser.should_keep_alive():
            self._in_sync = False
        if self._sink is not None:
            self._sink.head(status, self._reason, self._headers)
        if self._method == b"HEAD" and self._sink is not None:
            # The parser does not know the method HEAD: it would wait for content of the announced length.
            self._parser = None
            self._end(self._sink)

    def on_chunk_header(self) -> None:
        """Count a chunk. A chunk after an answer to HEAD, even the empty last one, puts the connection out of sync."""
        self._meter.chunks += 1
        if self._gathered is None:
            self._gathered = []
        if self._sink is None:
            self._in_sync = False

    def on_body(self, data: bytes) -> None:
        """Pass content on. Content that belongs to no answer puts the connection out of sync."""
        self._meter.content += len(data)
        if self._sink is None:
            self._in_sync = False
        elif self._gathered is not None:
            self._gathered.append(data)
        else:
            self._sink.body(data)

    def on_message_complete(self) -> None:
        """End the answer; after an interim answer, wait for the next."""
        if self._parser is not None and 100 <= self._parser.get_status_code() < 200:
            if not self._meter.begin_again():
                raise httptools.HttpParserError("too many interim answers")
            self._reset()
            return
        if self._gathered is not None:
            self._pass_gathered_on()
        if self._sink is not None:
            self._end(self._sink)

    # --- inside ---

    def _feed_last_byte_apart(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        """Feed ``data``, which ends with the end of a line, in two parts: all but the last byte, then that.

        The parser silently skips empty lines after an answer. If the answer is complete before the last byte, an empty line
        follows it. Without this, it would depend on how the bytes are cut whether the connection is in sync. Content is
        passed on in one piece, as without the cut.
        """
        self._gathered = []
        parser.feed_data(memoryview(data)[:-1])
        if self._answer_done:
            self._in_sync = False
        elif self._head_done and self._meter.is_padded():
            # Checked here, because the last byte may complete the answer, and then nothing is checked any more.
            raise httptools.HttpParserError(self._meter.padding())
        else:
            parser.feed_data(data[-1:])

    def _pass_gathered_on(self) -> None:
        pieces, self._gathered = self._gathered, None
        if pieces and self._sink is not None:
            self._sink.body(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _parse_in_pieces(self, data: bytes) -> bool:
        """Parse a read that may hold many chunks in pieces; False if it holds none, and is to be parsed as a whole."""
        if len(data) >= LONG_READ:
            self.yield_turn()
        if self._unchunked():
            return False
        self._unparsed = data
        scheduler = self._scheduler
        if scheduler.has_time():
            begun = scheduler.now()
            self.parse_more()
            scheduler.charge_since(begun)
        else:
            self.yield_turn()
        return True

    def _unchunked(self) -> bool:
        """Tell whether all that follows is plain content, which is one call however long it is."""
        return self._head_done and not any(name == b"transfer-encoding" for name, _ in self._headers)

    def parse_more(self) -> None:
        """Parse the next pieces of a read, as many as fit into this turn of the loop."""
        while self._unparsed and not self._paused:
            chunks = self._meter.chunks
            size = len(self._unparsed) if self._unchunked() else _PIECE if self._few_chunks else _SMALL_PIECE
            piece, self._unparsed = self._unparsed[:size], self._unparsed[size:]
            self._parse(piece)
            self._few_chunks: bool = self._meter.chunks - chunks <= _FEW_CHUNKS
            if not self._few_chunks:
                break
        if self._unparsed:
            self.yield_turn()

    def _parse_unparsed(self) -> None:
        """Parse all that waits, which is one read at most: nothing comes after it."""
        while self._unparsed:
            piece, self._unparsed = self._unparsed[:_PIECE], self._unparsed[_PIECE:]
            self._parse(piece)

    def _reset(self) -> None:
        self._reason = b""
        self._headers: Headers = []
        self._head_done = False
        self._framed = False
        self._few_chunks = False  # in the last piece, so that the next may be long
        self._is_http_1_1 = False  # by the first bytes of the answer, and for its first head alone

    def _end(self, sink: AnswerSink) -> None:
        self._answer_done = True
        self._sink = None
        if self._unparsed:
            self._in_sync = False  # more has come than this answer
        # The receiver that paused may be gone; the next exchange must not wait for a socket that nobody reads.
        self.resume()
        sink.end()

    def _flush(self) -> None:
        if self._sink is not None:
            self._sink.flush()

    def _fail(self, fault: Fault) -> None:
        sink, self._sink = self._sink, None
        self._in_sync = False
        self._unparsed = b""
        if sink is not None:
            sink.fault(fault)
        self.drop()

    def __repr__(self) -> str:
        """Show target and state."""
        state = "lost" if self.lost else "idle" if self._sink is None else "busy"
        return f"<Connection {self.target} {state} uses={self.uses}>"
