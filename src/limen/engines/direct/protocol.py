"""One client connection: where its requests go, in which order they are answered, and how it ends.

uvicorn listens, counts connections and shuts down; everything between is here and in the parts that a connection has:

- ``RequestParser``    its bytes as requests, with the rules and limits of a head
- ``InputBuffer``      what was read and waits to be parsed; when the socket is read
- ``ConnectionPlace``  where it is counted
- ``ConnectionTimer``  what is waited for, and for how long; lingering
- ``WriteTimeout``     how a client is waited for that reads slowly, made when one does
- ``Dispatcher``       whose a request is
- ``RequestQueue``     the requests in their order, each a ``DirectExchange``, an ``AsgiRequest`` or a ``LocalReply``
"""

import asyncio
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from limen.engines.asgi.http10 import reset
from limen.engines.asgi.refusal import MOST_DISCARDED
from limen.engines.direct import record, server_log
from limen.engines.direct.asgi_request import AsgiRequest
from limen.engines.direct.connection_place import ConnectionPlace
from limen.engines.direct.connection_timer import FIRST_HEAD, KEEP_ALIVE, LINGER, OFF, ConnectionTimer
from limen.engines.direct.dispatcher import Dispatcher
from limen.engines.direct.downstream import Downstream
from limen.engines.direct.hedge_timer import HedgeTimer
from limen.engines.direct.input_buffer import SMALL, InputBuffer
from limen.engines.direct.local_reply import refusal
from limen.engines.direct.pipelined import GONE, PipelinedRequest
from limen.engines.direct.request_parser import RequestParser
from limen.engines.direct.request_queue import RequestQueue
from limen.engines.direct.stages import BODY, DISCARDING, HEAD, IDLE
from limen.engines.direct.timers import Timer
from limen.engines.direct.worker_state import worker_state
from limen.engines.direct.write_timeout import WriteTimeout
from limen.errors import RETRY_AFTER, Fault, Kind
from limen.exchange.outcome import Outcome
from limen.http.headers import Headers
from limen.upstream.connection import Connection
from limen.upstream.live_target import LiveTarget
from limen.upstream.private_connections import PrivateConnections

CLOSE: Final = (b"connection", b"close")

# Connections beyond the limit: refused ones that linger, and those that have made room and are not gone; the next is reset.
MOST_TURNED_AWAY: Final = 256


class GatewayProtocol(Downstream):
    """One client connection. For ``uvicorn --http limen.engines.direct:GatewayProtocol``; ``limen serve`` sets it."""

    transport: asyncio.Transport
    input: InputBuffer

    # These know this connection as it knows them: without the cycles all of them go with it, and memory does not grow until
    # the collector, which has little else to do, comes round.
    __deletable__ = ("dispatcher", "parser", "deadline")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Made by uvicorn for each connection; ``app_state`` is what the application's lifespan has left."""
        if not config.loaded:
            config.load()
        self.config = config
        self.server_state = server_state
        self.loop = _loop or asyncio.get_event_loop()
        self.connections: Any = server_state.connections
        self.tasks: Any = server_state.tasks
        self.state = state = worker_state(config, app_state, self.loop)
        self.limits = state.limits
        self.app_state = app_state
        self.access_log = server_log.access_log(gateway="limen" in app_state)
        self.limit_concurrency = config.limit_concurrency
        # Of the connection.
        self.client: tuple[str, int] | None = None
        self.peer = b""
        self.cut_by: Fault = GONE  # why the connection ends, unless all was answered
        self._place = ConnectionPlace(state)
        self._released = False  # the connection has ended, or is somebody else's
        self.requests = RequestQueue(state)
        self._write_timeout: WriteTimeout | None = None
        self.timer = Timer(state.timers)  # of the exchange whose turn it is
        self._hedge_timer: HedgeTimer | None = None  # of the same exchange; made for the first that needs it
        self.private = None
        self.parser = RequestParser(self)
        self.deadline = ConnectionTimer(self)
        self.dispatcher = Dispatcher(self, direct=self._is_direct())

    # --- asyncio.Protocol ---

    def connection_made(self, transport: Any) -> None:
        """Count, and wait for a head."""
        self.connections.add(self)
        self.transport = transport
        self.client = get_remote_addr(transport)
        self.dispatcher.connected(transport)
        self.peer = record.peer_of(transport, self.client)
        limits, state = self.limits, self.state
        self.input = InputBuffer(self, transport, state.turns, state.bodies)
        if len(self.connections) > state.connections + MOST_TURNED_AWAY:
            transport.abort()
            return
        fault = self._place.take(self.client[0] if self.client else "", self.connections)
        if fault is not None:
            self.refuse(fault)
        else:
            self.deadline.arm(FIRST_HEAD, limits.head_time)

    def data_received(self, data: bytes) -> None:
        """Parse what has come: a small read at once, else in steps."""
        size = len(data)
        buffer = self.input
        if self.parser.stage == DISCARDING:
            self.deadline.discard(size)
            buffer.count_discarded(size)
        elif size > SMALL or not buffer.free():
            buffer.take(data)
        elif not self.state.turns.admit_small_read():
            buffer.keep(data)
        else:
            self.parser.parse(data)
            if buffer.in_line():
                buffer.schedule()

    def eof_received(self) -> None:
        """Let the transport close: nothing follows, and nobody is there to be answered."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything, whatever fails meanwhile; the request that runs need not be the newest."""
        self.connections.discard(self)
        try:
            self.stop_counting()
            stopping = CLOSE in self.server_state.default_headers
            self.requests.end(self.cut_by, stopping=stopping)
        finally:
            if exc is None:
                self.transport.close()
            self.resume_writing()
            self.release_parts()

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self.input.write_paused = True
        self._await_client()
        if self.requests.serving is not None:
            self.requests.serving.pause()

    def resume_writing(self) -> None:
        """The client has caught up, or left."""
        self.input.write_paused = False
        if self._write_timeout is not None:
            self._write_timeout.caught_up()
        self.input.schedule()
        if self.requests.serving is not None:
            self.requests.serving.resume()

    def _await_client(self) -> None:
        """Give the client its time to take what was written."""
        if self._write_timeout is None:
            self._write_timeout = WriteTimeout(self)
        self._write_timeout.wait()

    # --- uvicorn ---

    @property
    def current(self) -> PipelinedRequest | None:
        """The newest request, of which the server asks whether it is answered."""
        return self.requests.newest

    def shutdown(self) -> None:
        """Stop in good order: at once if nothing runs, else behind the answer that does."""
        if self.current is None or self.current.complete:
            self.transport.close()
        else:
            self.current.keep_alive = False

    # --- the parser ---

    def is_overloaded(self) -> bool:
        """Tell whether as many requests run as may."""
        return self.state.running + len(self.tasks) >= self.limits.requests

    def is_at_its_limit(self) -> bool:
        """Tell whether uvicorn's own limit on concurrency is reached."""
        limit = self.limit_concurrency
        return limit is not None and (len(self.connections) >= limit or len(self.tasks) >= limit)

    def enqueue(self, request: PipelinedRequest) -> None:
        """Let a request begin, or stand in line."""
        if not self.requests.add(request, self.parser.fed, at_once=not self.input.write_paused):
            self.input.schedule()

    def request_ended(self) -> None:
        """The newest request is whole."""
        timer, current = self.deadline, self.requests.newest
        if timer.timing != OFF:
            timer.disarm()
        if current is None:
            return
        if current.complete and not self.transport.is_closing():
            timer.arm(KEEP_ALIVE, self.limits.keepalive)
        current.body_ended()

    # --- the input ---

    def parses(self) -> bool:
        """Tell whether what the client sends is parsed still."""
        return self.parser.stage != DISCARDING and not self.transport.is_closing()

    def give_up_reading(self) -> None:
        """Refuse what was read and has to wait for too long: the worker holds too much."""
        if self.parses():
            self.refuse(Fault(Kind.BODIES_FULL, headers=RETRY_AFTER))

    def may_begin(self) -> bool:
        """Tell whether the next request may begin: the one before is answered, and the client takes its answers."""
        if not self.requests.has_next() or self.input.write_paused or self.transport.is_closing():
            return False
        return self.deadline.timing != LINGER  # else the answer before was the last one

    def begin_next(self) -> bool:
        """Begin it, if it may; tell whether it did."""
        begins = self.may_begin()
        if begins:
            self.requests.begin_next()
        return begins

    # --- what requests ask for ---

    def write(self, data: bytes) -> None:
        """Write to the client."""
        self.transport.write(data)

    def hedge_timer(self) -> HedgeTimer:
        """Return what waits for a late answer to the request whose turn it is."""
        timer = self._hedge_timer
        if timer is None:
            self._hedge_timer = timer = HedgeTimer(self.state.fine_timers)
        return timer

    def keep_private(self, upstream: str, target: LiveTarget, connection: Connection, *, handshake: bool) -> None:
        """Keep a private ``connection`` to ``target`` of ``upstream`` for the next request of this client."""
        if self._released or self.transport.is_closing():
            target.pool.release(connection)
            return
        if self.private is None:
            self.private = PrivateConnections()
        self.private.keep(upstream, target, connection, handshake=handshake)

    def is_stalled(self) -> bool:
        """Tell whether the client reads slower than we write."""
        return self.input.write_paused

    async def drain(self) -> None:
        """Wait until the client has caught up, or is gone."""
        if self.input.write_paused and self._write_timeout is not None:
            await self._write_timeout.drain()

    def pause_reading(self) -> None:
        """Read nothing more from the client."""
        self.input.pause()

    def resume_reading(self) -> None:
        """Read from the client again."""
        self.input.resume()

    def rest_is_long(self) -> bool:
        """Tell whether more is announced of the body of the request that runs than is thrown away after a refusal."""
        return self.requests.serving is self.requests.newest and self.parser.content_left() > MOST_DISCARDED

    def default_headers(self) -> Headers:
        """Return uvicorn's default header lines, the date among them, renewed each second."""
        lines = self.server_state.default_headers
        if lines and lines[-1] == CLOSE:
            # limen.cli.server is stopping: this answer is the last here, and says so itself, once.
            if self.requests.serving is not None:
                self.requests.serving.keep_alive = False
            return lines[:-1]
        return lines

    def completed(self, *, close: bool) -> None:
        """Close, or go on to the next request."""
        if self._released:
            return
        if self.requests.answered() is not None and self.parser.version == "1.0":
            reset(self.transport)  # nothing else tells that the content is not whole
            close = False
        if close:
            if self.parser.stage in (BODY, DISCARDING):
                self.deadline.linger()  # what still comes would reset the connection before the answer is read
            else:
                self.transport.close()
        self._go_to_next()

    def local_reply_written(self, *, close: bool) -> None:
        """Go on behind a finished answer, or linger."""
        if close:
            self.deadline.linger()
        self._go_to_next()

    # --- the end ---

    def idle_since(self) -> float | None:
        """Tell since when nothing is expected of the gateway here; None while something is, or it has ended."""
        return None if self._released or self.transport.is_closing() else self.deadline.idle_since()

    def give_way(self) -> None:
        """End an idle connection, now: with TLS a farewell would wait for the client's."""
        self.deadline.disarm()
        self._place.give_way()
        self.transport.abort()

    def refuse(self, fault: Fault) -> None:
        """Answer with ``fault`` when it is its turn; nothing more is parsed, and then the connection ends."""
        parser = self.parser
        stage, parser.stage = parser.stage, DISCARDING
        self.input.clear()
        self.deadline.disarm()
        if self.transport.is_closing():
            return
        outcome: Outcome | None = None
        current = self.requests.newest
        if stage == BODY and current is not None and not self.requests.withdraw(current):
            if current.complete:
                self.deadline.linger()
                return
            if current.abort_request(fault):
                return
            self.requests.newest = None  # as it is before the first request
            assert isinstance(current, AsgiRequest)
            outcome = current.taken_over(self.state.fresh)
            outcome.status, outcome.code, outcome.cause = fault.kind.status, fault.kind.code, fault.cause
        known = (stage == HEAD and bool(parser.url)) or stage == BODY
        self.enqueue(refusal(self, fault, known=known, outcome=outcome))

    def stop_counting(self) -> None:
        """Be counted and timed no more."""
        self.deadline.drop()
        self.timer.drop()
        if self._hedge_timer is not None:
            self._hedge_timer.drop()
        if self._write_timeout is not None:
            self._write_timeout.done()
        self._place.leave()

    def release_parts(self) -> None:
        """Let go of the parts and the requests, and they of this connection."""
        self._released = True
        private, self.private = self.private, None
        if private is not None:
            private.close()
        self.requests.clear()
        self.input.close()
        self.parser.close()
        self._write_timeout = None
        del self.dispatcher
        del self.parser
        del self.deadline

    # --- inside ---

    def _is_direct(self) -> bool:
        """Tell whether routes of a gateway are answered without ASGI."""
        return True

    def _go_to_next(self) -> None:
        """Go on behind an answer."""
        self.server_state.total_requests += 1
        timer = self.deadline
        if timer.timing == LINGER:
            return
        if self.transport.is_closing():
            if self.transport.get_write_buffer_size():
                self._await_client()
            return
        buffer, stage = self.input, self.parser.stage
        buffer.resume()
        if buffer.in_line():
            buffer.schedule()  # not from here: many in line would nest as deep
        elif stage == IDLE:
            timer.arm(KEEP_ALIVE, self.limits.keepalive)
        elif stage == DISCARDING:
            self.transport.close()
        elif stage == BODY and self.requests.newest is not None and self.requests.newest.complete:
            timer.discard_rest()

    def __repr__(self) -> str:
        """Show whose it is, and what runs."""
        return f"<{type(self).__name__} {self.peer.decode('ascii', 'replace')} {self.requests!r}>"
