"""One HTTP/1.1 connection to a target: bytes in, four calls on a sink out. Never retries, never waits for a pool.

It is an ``asyncio.Protocol``; httptools parses answers. It may be used again only when request and answer have both
ended cleanly and nothing followed.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from limen.declare.target import Target
from limen.errors import Fault, Kind
from limen.http.headers import Headers

# Interim answers (1xx) before the real one; more is a service that will never answer.
_MOST_INTERIM = 16

# What every head has besides its reason phrase and lines: "HTTP/1.1 200 ", the line's end and the empty line.
_LEAST_HEAD = 17


class Sink(Protocol):
    """What an exchange shows to its connection. After ``end`` or ``fault`` nothing more is called."""

    def head(self, status: int, reason: bytes, headers: Headers) -> None:
        """Take the head of the final answer."""
        ...

    def body(self, data: bytes) -> None:
        """Take a piece of content."""
        ...

    def flush(self) -> None:
        """Take note that nothing more has come for now, and that the answer is not whole."""
        ...

    def end(self) -> None:
        """Take note that the answer is whole."""
        ...

    def fault(self, fault: Fault) -> None:
        """Take note that the answer will not become whole."""
        ...


class Connection(asyncio.Protocol):
    """A connection that is either idle or busy with one exchange."""

    def __init__(self, target: Target, head_limit: int, on_lost: Callable[["Connection"], None]) -> None:
        """``head_limit`` bounds an answer's head in bytes; ``on_lost`` is told once, when the connection is gone."""
        self.target = target
        self.idle_since = 0.0
        self.uses = 0
        self.lost = False
        self._head_limit = head_limit
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._sink: Sink | None = None
        self._method = b""
        self._request_done = True
        self._answer_done = True
        self._in_step = True
        self._answering = False  # some byte of an answer has come
        self._interim = 0
        self._reason = b""
        self._reset()
        self._writable: asyncio.Future[None] | None = None
        self._paused = False

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

    def write(self, data: bytes) -> None:
        """Write a part of the request; silently nothing when the connection is gone: the sink has been told."""
        if self._transport is not None and not self.lost:
            self._transport.write(data)

    def finish(self) -> None:
        """Say that the request was written whole."""
        self._request_done = True

    async def drain(self) -> None:
        """Wait while the peer reads slower than we write."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def blocked(self) -> "asyncio.Future[None] | None":
        """Return what is done once the peer reads again; None while it does."""
        return self._writable

    def pause(self) -> None:
        """Stop reading: the client is slower than the service."""
        if self._transport is not None and not self._paused and not self.lost:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and self._paused and not self.lost:
            self._paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Drop the connection at once, whatever it is doing; the sink hears nothing more."""
        self._sink = None
        self._in_step = False
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the connection; an exchange still running hears a fault."""
        self._fail(Fault(Kind.UPSTREAM_CLOSED, cause="the gateway is shutting down"))

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse; bytes that nobody asked for end the connection."""
        if self._sink is None or self._parser is None:
            self.abort()
            return
        self._answering = True
        if not self._head_given:
            self._unfinished += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._answer_done:
                # What came after a whole answer: the answer stands, the connection does not.
                self.abort()
            else:
                self._fail(Fault(Kind.UPSTREAM_PROTOCOL, cause=str(error.__context__ or error)))
        else:
            if not self._head_given and self._unfinished > self._head_limit:
                self._fail(Fault(Kind.UPSTREAM_PROTOCOL, cause=f"the head has more than {self._head_limit} bytes"))
            elif not self._answer_done:
                self._flush()
            elif not self._in_step:
                self.abort()

    def eof_received(self) -> bool:
        """Let the transport close; a close-delimited answer ends here."""
        sink = self._sink
        if sink is not None and self._head_given and not self._framed and not self._answer_done:
            self._in_step = False
            self._end(sink)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.lost = True
        if exc is None:
            self.eof_received()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        self._fail(Fault(Kind.UPSTREAM_CLOSED, cause=str(exc or "closed before the answer was whole")))
        self._on_lost(self)
        self._parser = None  # the two know one another, and would wait for the collector

    def pause_writing(self) -> None:
        """Make ``drain`` wait."""
        if self._writable is None:
            self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let ``drain`` go on."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

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

    def on_headers_complete(self) -> None:
        """Give the head on, unless it is an interim one."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if not 100 <= status < 600:
            # RFC 9110 section 15: no status at all. 0 would even be taken for an answer that has not come.
            raise httptools.HttpParserError("not a status")
        if status == 101:
            raise httptools.HttpParserError("101 without being asked")
        if 100 <= status < 200:
            return
        if self._parser.get_http_version() not in ("1.0", "1.1"):
            raise httptools.HttpParserError("neither HTTP/1.0 nor HTTP/1.1")
        # Counted by lines: one read may bring the head and much of the content with it.
        if self._head_bytes > self._head_limit:
            raise httptools.HttpParserError("the head is too long")
        bodyless = self._method == b"HEAD" or status in (204, 304)
        self._framed = self._check_framing() or bodyless
        if self._parser.get_http_version() == "1.0" and any(name == b"transfer-encoding" for name, _ in self._headers):
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
        """Notice chunks behind an answer to HEAD, the empty last one included."""
        if self._sink is None:
            self._in_step = False

    def on_body(self, data: bytes) -> None:
        """Give content on; content that no answer has room for leaves the connection out of step."""
        if self._sink is not None:
            self._sink.body(data)
        else:
            self._in_step = False

    def on_message_complete(self) -> None:
        """End the answer, or begin to wait for the one after an interim answer."""
        if self._parser is not None and 100 <= self._parser.get_status_code() < 200:
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                raise httptools.HttpParserError("too many interim answers")
            interim = self._interim
            self._reset()
            self._interim = interim
            return
        if self._sink is not None:
            self._end(self._sink)

    # --- inside ---

    def _reset(self) -> None:
        self._unfinished = 0  # bytes read while the head has not ended
        self._head_bytes = _LEAST_HEAD
        self._interim = 0
        self._reason = b""
        self._headers: Headers = []
        self._head_given = False
        self._framed = False

    def _check_framing(self) -> bool:
        """Tell whether the head says where the content ends."""
        lengths, chunked = 0, 0
        for name, value in self._headers:
            if name == b"content-length":
                lengths += 1
            elif name == b"transfer-encoding":
                # Any coding but a single final chunked counts as a disagreement.
                chunked += 1 if value.lower() == b"chunked" else 2
        # RFC 9112 section 6.3: any disagreement about where an answer ends is how responses get split.
        if lengths + chunked > 1:
            raise httptools.HttpParserError("ambiguous length of the answer")
        return bool(lengths or chunked)

    def _end(self, sink: Sink) -> None:
        self._answer_done = True
        self._sink = None
        # Whoever held the answer back may be gone; the next exchange must not wait for a socket that nobody reads.
        self.resume()
        sink.end()

    def _flush(self) -> None:
        if self._sink is not None:
            self._sink.flush()

    def _fail(self, fault: Fault) -> None:
        sink, self._sink = self._sink, None
        self._in_step = False
        if sink is not None:
            sink.fault(fault)
        if self._transport is not None and not self.lost:
            self._transport.abort()

    def __repr__(self) -> str:
        """Show target and state."""
        state = "lost" if self.lost else "idle" if self._sink is None else "busy"
        return f"<Connection {self.target} {state} uses={self.uses}>"
