"""One HTTP/1.1 connection to a target: bytes in, four calls on a sink out. Never retries, never waits for a pool.

httptools parses answers. A connection may be used again only when request and answer have both ended cleanly and nothing
followed.
"""

from collections.abc import Callable
from typing import Final

import httptools

from limen.errors import Fault, Kind
from limen.fairness.turns import LONG_READ, Turns
from limen.http.headers import Headers
from limen.upstream import rules
from limen.upstream.sink import Sink
from limen.upstream.target import Target
from limen.upstream.wire import Wire

# Interim answers (1xx) before the real one; more is a service that will never answer.
_MOST_INTERIM: Final = 16

# What every head has besides its reason phrase and lines: "HTTP/1.1 200 ", the line's end and the empty line.
_LEAST_HEAD: Final = 17

# Bytes of framing that a chunk may have: 16 digits, two line ends, and some air.
_CHUNK: Final = 24

# Bytes that count for a trailer besides its own.
_TRAILER: Final = 32

# What one connection may take of a turn of the loop, which others wait for. A read may bring 256 KiB, and uvloop makes up to
# 32 in a row: after one of ``LONG_READ`` it is the others' turn. One that may hold many small chunks, 43,000 in 256 KiB, is
# parsed in pieces: of ``_SMALL_PIECE``, and of ``_PIECE`` once one has brought ``_FEW`` or none. One with more is the last
# of its turn.
_PIECE: Final = 16384
_SMALL_PIECE: Final = 4096
_FEW: Final = 16


class Connection(Wire):
    """A connection that is either idle or busy with one exchange."""

    def __init__(self, target: Target, head_limit: int, on_lost: Callable[["Connection"], None], turns: Turns) -> None:
        """``head_limit`` bounds an answer's head in bytes; ``on_lost`` is told once, when the connection is gone.

        ``turns`` are those of the loop in which it is used.
        """
        super().__init__(turns)
        self.target = target
        self.idle_since = 0.0
        self.uses = 0
        self._head_limit = head_limit
        self._on_lost = on_lost
        self._parser: httptools.HttpResponseParser | None = None
        self._sink: Sink | None = None
        self._method = b""
        self._request_done = True
        self._answer_done = True
        self._in_step = True
        self._answering = False  # some byte of an answer has come
        self._pieces: list[bytes] | None = None  # content that is kept together for now: no call for each small chunk
        self._interim = 0
        self._reason = b""
        self._reset()

    # --- what an exchange does ---

    @property
    def reused(self) -> bool:
        """Whether the exchange at hand is not the first on this connection."""
        return self.uses > 1

    @property
    def answering(self) -> bool:
        """Whether some byte of the answer has come."""
        return self._answering

    @property
    def reusable(self) -> bool:
        """Whether another exchange may begin here."""
        return self._request_done and self._answer_done and self._in_step and not self.lost

    def start(self, sink: Sink, method: bytes, data: bytes, *, whole: bool) -> None:
        """Begin an exchange: write ``data``; ``whole`` says that the request ends with it. A lost connection is a fault."""
        self._sink = sink
        self._method = method
        self.uses += 1
        self._request_done = whole
        self._answer_done = False
        self._answering = False
        self._reset()
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self.write(data)
        if self.lost:
            self._fail(Fault(Kind.UPSTREAM_CLOSED, cause="closed before the request was sent"))

    def finish(self) -> None:
        """Say that the request was written whole."""
        self._request_done = True

    def abort(self) -> None:
        """Drop the connection at once, whatever it is doing; the sink hears nothing more."""
        idle, self._sink = self._sink is None and self._answer_done, None
        self._in_step = False
        self._rest = b""
        if not idle:
            self.drop()
        elif self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the connection, now: the loop may not go on. An exchange still running hears a fault."""
        self.close_now()
        self._fail(Fault(Kind.UPSTREAM_CLOSED, cause="the gateway is shutting down"))

    # --- asyncio.Protocol ---

    def data_received(self, data: bytes) -> None:
        """Take what has come, piece by piece where that may be much work."""
        if len(data) <= _SMALL_PIECE or not self._in_pieces(data):
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Parse; bytes that nobody asked for end the connection."""
        parser = self._parser
        if self._sink is None or parser is None:
            self.abort()
            return
        size = len(data)
        if not self._answering and size and data[0] in b"\r\n":
            # Only a server passes over empty lines (RFC 9112 section 2.2). This one is a rest of the answer before: what
            # the service was asked now is as good as unanswered.
            kind = Kind.UPSTREAM_CLOSED if self.reused else Kind.UPSTREAM_PROTOCOL
            self._fail(Fault(kind, cause="an empty line where an answer begins"))
            return
        if not self._answering:
            self._answering = True
            self._is_1_1 = data.startswith(b"HTTP/1.1 ")
        self._raw += size
        before = self._content if self._head_given else -1
        try:
            if size > 1 and data[-1] in b"\r\n":
                self._feed_apart(parser, data)
            else:
                parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._give()
            if self._answer_done:
                # What came after a whole answer: the answer stands, the connection does not.
                self.abort()
            else:
                self._fail(Fault(Kind.UPSTREAM_PROTOCOL, cause=str(error.__context__ or error)))
            return
        if self._answer_done:
            if not self._in_step or (self._method == b"HEAD" and data[-1:] != b"\n"):
                # Behind the head of an answer to HEAD the parser reads on, as if there were content, and does not tell.
                self.abort()
            return
        if self._pieces is not None:
            self._give()
        if not self._head_given:
            if self._raw > self._head_limit:
                self._fail(Fault(Kind.UPSTREAM_PROTOCOL, cause=self._too_long()))
        elif self._besides() > self._head_limit:
            # Chunk extensions and trailers, which are dropped, and could go on for ever.
            self._fail(Fault(Kind.UPSTREAM_PROTOCOL, cause=self._too_much()))
        elif self._content != before:
            # A part of a head, or of what frames the content, is no progress: byte by byte it would never be too late.
            self._flush()

    def eof_received(self) -> bool:
        """Let the transport close; a close-delimited answer ends here."""
        self._take_all()
        sink = self._sink
        if sink is not None and self._head_given and not self._framed and not self._answer_done:
            self._in_step = False
            self._end(sink)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._take_all()
        ended = exc is None
        if exc is not None and self._sink is not None:
            self._rest, ended = self.left(exc)
            self._take_all()
        self.lost = True
        if ended:
            self.eof_received()
        self.resume_writing()
        self._fail(Fault(Kind.UPSTREAM_CLOSED, cause=str(exc or "closed before the answer was whole")))
        self._on_lost(self)
        self._parser = None  # the two know one another, and would wait for the collector

    # --- httptools ---

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self._answer_done:
            raise httptools.HttpParserError("bytes after the end of the answer")

    def on_status(self, status: bytes) -> None:
        """Collect the reason phrase, which may come in parts."""
        self._reason += status
        self._head_bytes += len(status)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header line; trailers are dropped (RFC 9110 section 6.5.1)."""
        if not self._head_given:
            self._headers.append((name.lower(), value))
            self._head_bytes += len(name) + len(value) + 4
            if len(self._headers) > self._head_limit // 64:
                raise httptools.HttpParserError("too many header lines")
            return
        # What a line costs besides its bytes, as HTTP/2 counts it (RFC 9113 section 6.5.2): 4 bytes can be a trailer.
        self._head_bytes -= _TRAILER

    def on_headers_complete(self) -> None:
        """Give the head on, unless it is an interim one."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        # Asked only where it does not show: the parser formats a text for it.
        version = "1.1" if self._is_1_1 else self._parser.get_http_version()
        if (wrong := rules.check(status, version, self._headers)) is not None:
            raise httptools.HttpParserError(wrong)
        # Counted by lines: one read may bring the head and much of the content with it.
        if self._head_bytes > self._head_limit:
            raise httptools.HttpParserError(self._too_long())
        if status < 200:
            return
        framings = rules.framings(self._headers)
        if framings > 1:
            raise httptools.HttpParserError("ambiguous length of the answer")
        bodyless = self._method == b"HEAD" or status in (204, 304)
        self._framed = bodyless or framings == 1
        if version == "1.0" and any(name == b"transfer-encoding" for name, _ in self._headers):
            self._in_step = False  # RFC 9112 section 6.1: such framing is not to be relied upon for what follows
        self._head_given = True
        if not self._framed or not self._parser.should_keep_alive():
            self._in_step = False
        if self._sink is not None:
            self._sink.head(status, self._reason, self._headers)
        if self._method == b"HEAD" and self._sink is not None:
            # The parser does not know of HEAD and would take a length for content to come.
            self._parser = None
            self._end(self._sink)

    def on_chunk_header(self) -> None:
        """Count a chunk; notice those behind an answer to HEAD, the empty last one included."""
        self._chunks += 1
        if self._pieces is None:
            self._pieces = []
        if self._sink is None:
            self._in_step = False

    def on_body(self, data: bytes) -> None:
        """Give content on; content that no answer has room for leaves the connection out of step."""
        self._content += len(data)
        if self._sink is None:
            self._in_step = False
        elif self._pieces is not None:
            self._pieces.append(data)
        else:
            self._sink.body(data)

    def on_message_complete(self) -> None:
        """End the answer, or begin to wait for the one after an interim answer."""
        if self._parser is not None and 100 <= self._parser.get_status_code() < 200:
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                raise httptools.HttpParserError("too many interim answers")
            interim = self._interim
            behind = self._raw - self._head_bytes
            self._reset()
            self._interim = interim
            self._raw += max(behind, 0)  # this read may have brought more than the interim head
            return
        if self._pieces is not None:
            self._give()
        if self._sink is not None:
            self._end(self._sink)

    # --- inside ---

    def _too_long(self) -> str:
        return f"the head has more than {self._head_limit} bytes"

    def _too_much(self) -> str:
        return f"more than {self._head_limit} bytes besides content"

    def _besides(self) -> int:
        """Return how much of what was read is neither head nor content, nor what frames a chunk."""
        return self._raw - self._head_bytes - self._content - _CHUNK * self._chunks

    def _feed_apart(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        """Feed what ends with the end of a line, its last byte apart.

        The parser passes over empty lines behind an answer and says nothing of them; so the answer must not be whole
        before the last byte. Else how the bytes are cut would decide whether the connection is in step. Content goes on
        in one piece, as without the cut.
        """
        self._pieces = []
        parser.feed_data(memoryview(data)[:-1])
        if self._answer_done:
            self._in_step = False
        elif self._head_given and self._besides() > self._head_limit:
            # The answer may be whole with the last byte, and then nobody would look any more.
            raise httptools.HttpParserError(self._too_much())
        else:
            parser.feed_data(data[-1:])

    def _give(self) -> None:
        """Give the content on that was kept together."""
        pieces, self._pieces = self._pieces, None
        if pieces and self._sink is not None:
            self._sink.body(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _in_pieces(self, data: bytes) -> bool:
        """Take a read that may hold many chunks, piece by piece; False for one that is to be taken as it is."""
        if len(data) >= LONG_READ:
            self.yield_turn()
        if self._unchunked():
            return False
        self._rest = data
        turns = self._turns
        if turns.room():
            begun = turns.now()
            self.take_rest()
            turns.did(begun)
        else:
            self.yield_turn()
        return True

    def _unchunked(self) -> bool:
        """Tell whether all that is to come is content: one call, however long it is."""
        return self._head_given and not any(name == b"transfer-encoding" for name, _ in self._headers)

    def take_rest(self) -> None:
        """Go on with a read that is taken in pieces, as far as this turn of the loop goes."""
        while self._rest and not self._paused:
            chunks = self._chunks
            size = len(self._rest) if self._unchunked() else _PIECE if self._few else _SMALL_PIECE
            piece, self._rest = self._rest[:size], self._rest[size:]
            self._take(piece)
            self._few: bool = self._chunks - chunks <= _FEW
            if not self._few:
                break
        if self._rest:
            self.yield_turn()

    def _take_all(self) -> None:
        """Take what waits for its turn: nothing comes after it. One read, at most."""
        while self._rest:
            piece, self._rest = self._rest[:_PIECE], self._rest[_PIECE:]
            self._take(piece)

    def _reset(self) -> None:
        self._raw: int = 0  # bytes read
        self._content: int = 0  # of them, those that are content
        self._chunks: int = 0
        self._head_bytes: int = _LEAST_HEAD
        self._interim = 0
        self._reason = b""
        self._headers: Headers = []
        self._head_given = False
        self._framed = False
        self._few = False  # chunks were in the last piece, so that the next may be long
        self._is_1_1 = False  # said where the answer begins, of the first head alone

    def _end(self, sink: Sink) -> None:
        self._answer_done = True
        self._sink = None
        if self._rest:
            self._in_step = False  # more has come than this answer
        # Whoever held the answer back may be gone; the next exchange must not wait for a socket that nobody reads.
        self.resume()
        sink.end()

    def _flush(self) -> None:
        if self._sink is not None:
            self._sink.flush()

    def _fail(self, fault: Fault) -> None:
        sink, self._sink = self._sink, None
        self._in_step = False
        self._rest = b""
        if sink is not None:
            sink.fault(fault)
        self.drop()

    def __repr__(self) -> str:
        """Show target and state."""
        state = "lost" if self.lost else "idle" if self._sink is None else "busy"
        return f"<Connection {self.target} {state} uses={self.uses}>"
