"""How long, and how often, a client connection is put up with: it is counted, timed, refused, and its end lingered over.

What is read from it is ``guard``'s. Every connection has one coarse timer, for what it is waited for now:
a first head, another request, the rest of a head, more of a body, the rest of a body that nobody wants any more, or the end
after a refusal.

After a refusal the client's input is thrown away for a while: closing at once would reset the connection, and the client
could lose the answer that it has not read (RFC 9112 section 9.6). So is the rest of a body whose request is answered: if it
ends within the same bounds, the next request follows, else the connection ends.
"""

import asyncio
import contextlib
from typing import Any, Final, cast

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from limen import pipeline
from limen.client.limits import ClientLimits
from limen.engines.asgi.http10 import reset, unchunked
from limen.engines.asgi.record import ENDED
from limen.engines.asgi.refusal import MOST_DISCARDED
from limen.engines.direct import record, server_log
from limen.engines.direct.client import whole
from limen.engines.direct.pace import Pace
from limen.engines.direct.reading import MOST_WAITING, Reading
from limen.engines.direct.shared import LocalReply, WorkerState, WriteTimeout
from limen.engines.direct.timers import Timer
from limen.errors import AGAIN, Fault, Kind
from limen.exchange.outcome import Outcome
from limen.fairness.body_memory import Bodies
from limen.http.headers import Head
from limen.http.replies import problem

CLOSE: Final = (b"connection", b"close")

# Where the client's input is. DISCARDING: nothing more of it is parsed.
IDLE: Final = 0
HEAD: Final = 1
BODY: Final = 2
DISCARDING: Final = 3

# What the connection's timer is for.
OFF: Final = 0
FIRST: Final = 1
KEPT: Final = 2
HEAD_TIME: Final = 3
BODY_TIME: Final = 4
LINGER: Final = 5
REST: Final = 6

# Looks at a body within the time of its silence: a deadline may be late by one of them.
LOOKS = 4

# Seconds after which a connection ends of which so much was thrown away, and nothing more is read.
UNREAD: Final = 0.2

# Connections beyond the limit: refused ones that linger, and those that have made room and are not gone; the next is reset.
MOST_TURNED_AWAY: Final = 256


class PatientProtocol(HttpToolsProtocol):
    """One client connection, with its limits and its timer. It serves nothing that ``GuardedProtocol`` does not let in."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Made by uvicorn for each connection; ``app_state`` is what the application's lifespan has left."""
        super().__init__(config, server_state, app_state, _loop)
        shared: WorkerState | None = app_state.get("limen.guard")
        if shared is None:
            limits: ClientLimits = app_state.get("limen.limits") or ClientLimits()
            if (bodies := app_state.get("limen.bodies")) is None:  # one that holds nothing is false
                bodies = Bodies.within(limits.body_memory)
            shared = app_state["limen.guard"] = WorkerState(self.loop, limits, bodies)
            server_log.share(config, gateway="limen" in app_state)
        self.shared = shared
        if "limen" in app_state:
            self.access_log = False  # a gateway writes its own
        self.limits = shared.limits
        self.timer = Timer(shared.timers)  # of the exchange whose turn it is, if it is one
        self._patience = Timer(shared.timers)  # our own
        self.stage = IDLE
        self.timing = OFF
        self.serving: Any = None  # the cycle whose turn it is
        self.peer = b""  # the address of the client's end
        self.cut_by = record.GONE  # why the connection ends, unless all was answered
        self.pace = Pace(shared.limits)  # of the body that comes
        self._discarded = 0
        self._counted: str | None = None
        self._reader: WriteTimeout | None = None
        self._gave_way = False

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count, and wait for a head."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.peer = record.peer_of(transport, self.client)
        self.reading = Reading(self, self.transport, self.shared.turns, self.shared.bodies, self.pipeline)
        self.flow: Any = self.reading.flow
        limits, shared = self.limits, self.shared
        if len(self.connections) > shared.connections + MOST_TURNED_AWAY:
            self.transport.abort()
            return
        address = self._counted = self.client[0] if self.client else ""
        addresses = shared.addresses
        addresses[address] += 1
        most = limits.connections_per_address
        taken = len(self.connections) - shared.idle.leaving
        if taken > shared.connections and not shared.idle.make_room(self.connections):
            self.refuse(Fault(Kind.TOO_MANY_CONNECTIONS, headers=AGAIN))
        elif most is not None and address and addresses[address] > most:
            self.refuse(Fault(Kind.TOO_MANY_FROM_ADDRESS, headers=AGAIN))
        else:
            self.arm(FIRST, limits.head_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything, whatever fails meanwhile; the request that runs need not be the newest."""
        try:
            self.forget()
            self._end_requests()
        finally:
            super().connection_lost(exc)
            # Each of these knows this connection as it knows them. Without the cycles all of them go now, and memory does
            # not grow until the collector, which has little else to do, comes round.
            self.pipeline.clear()
            self.reading.close()
            self.parser: Any = None
            self.cycle: Any = None
            self.serving = None

    def _end_requests(self) -> None:
        """Tell the request that runs, and drop each of those in line: that one of them fails keeps none from it."""
        serving = self.serving
        if serving is not None and not serving.response_complete:
            serving.disconnected = True
            serving.message_event.set()
            if isinstance(serving, RequestResponseCycle):
                scope: Any = serving.scope
                scope.setdefault(ENDED, self.cut_by)
        if not self.pipeline:
            return
        with contextlib.ExitStack() as line:
            for cycle, _ in self.pipeline:  # the newest first, and the stack is left the other way round
                line.callback(self.drop, cycle)
            if self.cut_by is record.GONE:
                self.cut_by = record.behind(serving, stopping=CLOSE in self.server_state.default_headers)

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        if self._reader is not None and not self.transport.is_closing():
            self._reader.done()
        self.reading.go_on()

    # --- uvicorn ---

    def on_response_complete(self) -> None:
        """As uvicorn does, but with a coarse timer for the time between requests: 1 us less than one of the loop's."""
        self.server_state.total_requests += 1
        if self.timing == LINGER:
            return
        if self.transport.is_closing():
            if self.transport.get_write_buffer_size():
                self._watch_reader()
            return
        reading = self.reading
        if reading.paused:
            self.flow.resume_reading()
        if reading.in_line():
            reading.go_on()  # not from here: many in line would nest as deep
        elif self.stage == IDLE:
            self.arm(KEPT, self.limits.keepalive)
        elif self.stage == DISCARDING:
            self.transport.close()
        elif self.stage == BODY and self.is_unwanted():
            self._discarded = 0
            self.arm(REST, self.limits.linger)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.serving = cycle
        if isinstance(cycle, LocalReply):
            cycle.begin()
        else:
            turns = self.shared.turns
            turns.task_begins()
            super()._start_asgi_task(cycle, self._framed(cycle, app))
            turns.task_made()

    def _framed(self, cycle: Any, app: Any) -> Any:
        """Return ``app``, which gets to send what a client of HTTP/1.0 understands."""
        old = unchunked(cycle.scope, cycle.send)
        if old is None:
            return app

        async def framed(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, old.send)
            finally:
                old.ended()

        return framed

    def _unset_keepalive_if_required(self) -> None:
        """Do nothing: uvicorn's own timer is never set."""

    # --- what reading asks ---
    def parse(self, data: bytes) -> None:
        """Parse ``data``: ``GuardedProtocol`` knows how."""
        raise NotImplementedError  # nobody makes an object of this class alone

    def parses(self) -> bool:
        """Tell whether what the client sends is parsed still."""
        return self.stage != DISCARDING and not self.transport.is_closing()

    def give_up_reading(self) -> None:
        """Refuse what was read and has to wait for too long: the worker holds too much."""
        if self.parses():
            self.refuse(Fault(Kind.BODIES_FULL, headers=AGAIN))

    def content_left(self) -> int:
        """Return how many bytes of a body of known length are still to come, 0 where that is not known."""
        raise NotImplementedError  # as above

    def chunks_are_large(self) -> bool:
        """Tell whether what comes is a body in chunks, of which the last step had few."""
        raise NotImplementedError  # as above

    def is_chunked(self) -> bool:
        """Tell whether what comes is a body in chunks."""
        raise NotImplementedError  # as above

    def line_is_full(self) -> bool:
        """Tell whether as many requests are in line as may be."""
        return len(self.pipeline) >= MOST_WAITING

    def may_begin(self) -> bool:
        """Tell whether the next request in line may begin: the one before is answered, and the client takes its answers."""
        if not self.pipeline or self.reading.write_paused or self.transport.is_closing():
            return False
        if self.timing == LINGER:
            return False  # the answer before was the last one
        serving = self.serving
        return serving is None or bool(serving.response_complete)

    def begin_next(self) -> bool:
        """Begin it, if it may; tell whether it did."""
        begins = self.may_begin()
        if begins:
            self._start_asgi_task(*self.pipeline.pop())
        return begins

    # --- the timer ---

    def arm(self, timing: int, seconds: float) -> None:
        """Wait ``seconds`` for what ``timing`` says, in place of what was waited for."""
        self.timing = timing
        self._patience.set(self, seconds)

    def disarm(self) -> None:
        """Wait no more."""
        self.timing = OFF
        self._patience.clear()

    def expired(self) -> None:
        """What was waited for has not come."""
        timing, limits = self.timing, self.limits
        self.timing = OFF
        if self.transport.is_closing():
            self.transport.abort()
        elif timing == KEPT and self.reading.pending():
            self.arm(KEPT, self.limits.keepalive)  # another request is here, and waits for its turn
        elif timing == LINGER and self._discarded > MOST_DISCARDED:
            self.transport.abort()  # over TLS, closing would read on, for as long as the client sends
        elif timing == REST and self.transport.get_write_buffer_size():
            self.arm(REST, limits.linger)  # an answer is on its way yet: its own time decides
        elif timing in (LINGER, KEPT, REST) or self.stage == IDLE:
            self._close()
        elif self.reading.stopped():
            # It is we who do not read: this time does not count.
            period = limits.head_time if timing == HEAD_TIME else limits.body_silence / LOOKS
            self.pace.excuse(period, self.loop.time())
            self.arm(timing, period)
        elif self.stage == HEAD:
            self.refuse(Fault(Kind.HEAD_TIMEOUT))
        elif self.stage == BODY:
            if self.pace.too_slow(self.loop.time()):
                self.refuse(Fault(Kind.REQUEST_TIMEOUT))
            else:
                self.arm(BODY_TIME, limits.body_silence / LOOKS)

    def idle_since(self) -> float | None:
        """Tell since when nothing is expected of the gateway here; None while something is, such as an answer to be read."""
        timing = self.timing
        if self.stage != IDLE or (timing != KEPT and timing != FIRST) or self.transport.is_closing():
            return None
        if self.transport.get_write_buffer_size() or self.reading.pending():
            return None
        return self._patience.deadline - (self.limits.keepalive if timing == KEPT else self.limits.head_time)

    def give_way(self) -> None:
        """End an idle connection, now: with TLS a farewell would wait for the client's."""
        self.disarm()
        self._gave_way = True
        self.shared.idle.leaving += 1
        self.transport.abort()

    def forget(self) -> None:
        """Be counted and timed no more."""
        if self._gave_way:
            self._gave_way = False
            self.shared.idle.leaving -= 1
        self.timing = OFF
        self._patience.drop()
        self.timer.drop()
        if self._reader is not None:
            self._reader.done()
        if self._counted is not None:
            addresses, address = self.shared.addresses, self._counted
            self._counted = None
            addresses[address] -= 1
            if not addresses[address]:
                del addresses[address]

    # --- the end ---

    def refuse(self, fault: Fault) -> None:
        """Answer with ``fault`` when it is its turn; nothing more is parsed, and then the connection ends."""
        stage, self.stage = self.stage, DISCARDING
        self.reading.clear()
        self.disarm()
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle
        outcome: Outcome | None = None
        if stage == BODY:
            if self.pipeline and self.pipeline[0][0] is cycle:
                self.pipeline.popleft()
                self.forget_cycle(cycle)
                self.cycle = self.pipeline[0][0] if self.pipeline else self.serving
            elif cycle.response_complete:
                self.linger()
                return
            elif isinstance(cycle, LocalReply):
                cycle.keep_alive = False  # it is about to be written, and the last
                return
            elif self.spoil(cycle, fault):
                return
            else:
                outcome = record.taken_over(cycle, self.shared.fresh)
        told = (stage == HEAD and bool(self.url)) or stage == BODY
        parser: Any = self.parser
        method: bytes = parser.get_method() if told else b"-"
        path = self.url.partition(b"?")[0] if told else b"-"
        known: tuple[str, str, str] | None = None
        if outcome is None:
            request_id = pipeline.request_id(Head(self.headers if told else []), self.shared.fresh)
        else:
            request_id = outcome.request_id
            known = (outcome.route, outcome.upstream, outcome.caller)
        reply = problem(fault, request_id)
        self.queue(LocalReply(self, reply, fault, method=method, path=path, request_id=request_id, known=known))

    def forget_cycle(self, cycle: Any) -> None:
        """Let go of a request that is refused while it is in line."""

    def spoil(self, cycle: Any, fault: Fault) -> bool:
        """End a request whose body will not become whole; False if it is still to be answered."""
        cycle.disconnected = True
        cycle.message_event.set()
        cycle.scope[ENDED] = fault if cycle.response_started else None
        if cycle.response_started:
            reset(self.transport)  # what the client gets must not look whole
            return True
        self.cycle = None  # pyright: ignore[reportAttributeAccessIssue] - as it is before the first request
        return False

    def queue(self, said: LocalReply) -> None:
        """Say it now, or when the requests before have been answered."""
        before: Any = self.cycle
        self.cycle = cast("Any", said)
        if (before is None or before.response_complete) and not self.reading.write_paused:
            self.serving = said
            said.begin()
        else:
            line: Any = self.pipeline
            line.appendleft((said, None))
            self.reading.go_on()

    def say(self, said: LocalReply) -> None:
        """Write a finished answer."""
        said.response_complete = True
        lines = [line for line in self.server_state.default_headers if line != CLOSE]
        last = len(lines) < len(self.server_state.default_headers)  # limen.cli.server is stopping
        keep_alive = said.keep_alive = said.keep_alive and not last
        self.transport.write(whole(said.reply, lines, keep_alive=keep_alive, bodyless=said.method == b"HEAD"))
        record.said(said, self.peer, said.reply.status, said.fault)
        if not keep_alive:
            self.linger()
        self.on_response_complete()

    def drop(self, cycle: Any) -> None:
        """Record a request in line whose turn does not come: the client is gone, or ``cut_by`` says why."""
        if isinstance(cycle, LocalReply):
            record.said(cycle, self.peer, self.cut_by.kind.status, self.cut_by)
        else:
            record.never_begun(cycle, self.peer, self.shared.fresh, self.cut_by)

    def linger(self) -> None:
        """Say that nothing follows, and throw away what still comes, for a while."""
        if self.transport.is_closing():
            return
        self.stage = DISCARDING
        if self.timing not in (LINGER, REST):
            self._discarded = 0  # of a body before
        self.discard(self.reading.clear())
        self.arm(LINGER, self.limits.linger)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def discard(self, size: int) -> None:
        """Throw ``size`` bytes away."""
        self._discarded += size
        if (self.timing == LINGER or self.timing == REST) and self._discarded > MOST_DISCARDED:
            # Who floods is not to be back at once, and that he has left is not noticed meanwhile.
            self.stage = DISCARDING
            self.reading.clear()
            self.flow.pause_reading()
            self.arm(LINGER, min(self.limits.linger, UNREAD))

    def is_unwanted(self) -> bool:
        """Tell whether the request that comes is answered, and the rest of it of no use to anybody."""
        cycle: Any = self.cycle
        return cycle is not None and bool(cycle.response_complete)

    def _close(self) -> None:
        """Close; a client that has not read by now what was written to it gets no more time."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _watch_reader(self) -> None:
        if self._reader is None:
            self._reader = WriteTimeout(self)
        self._reader.wait()
