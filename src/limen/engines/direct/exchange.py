"""One request on the direct engine, in callbacks, without a task or a timer of its own.

``limen.pipeline.exchange`` decides; here is what it takes to do what it says:

1. ``begin``      it is this request's turn: do what the exchange's state says (``advance``)
2. ``body_came``, ``body_ended``   the client's body: held, checked, or passed on (``RequestBody``)
3. ``_send``                       a connection, and the request on it (``UpstreamSide``); perhaps once more
4. ``answer_begins`` and after it  the answer passes (``AnswerWriter``), or is read and checked first (``HeldContent``)
5. ``_complete``                   settle, exactly once, and give the client's connection back
"""

from time import perf_counter
from typing import Final, final

from limen.engines.direct.answer_writer import AnswerWriter
from limen.engines.direct.downstream import Downstream, reply_bytes
from limen.engines.direct.held_content import HeldContent
from limen.engines.direct.outside_wait import OutsideWait
from limen.engines.direct.pipelined import PipelinedRequest
from limen.engines.direct.request_body import RequestBody
from limen.engines.direct.upstream_side import UpstreamSide
from limen.errors import RETRY_AFTER, Fault, Kind
from limen.fairness.body_memory import BodyMemory
from limen.http.headers import Headers
from limen.observe.access import shown
from limen.observe.redaction import logger
from limen.pipeline.exchange import Exchange
from limen.pipeline.states import ANSWERING, BUFFERING, READING, REPLYING, SENDING, WAITING
from limen.pipeline.steps import MOST_HELD

_log = logger("limen.direct")

_BUG: Final = Fault(Kind.INTERNAL_ERROR)


@final
class DirectExchange(PipelinedRequest):
    """One request. ``core`` decides; ``streams`` says that the request's body passes on as it comes."""

    __slots__ = (
        *("_chunks", "_cut_by", "_held", "_in_turn", "_refusal", "_started", "_timer", "_upstream", "_writer"),
        *("awaited", "body", "core", "downstream", "status_sent", "streams"),
    )

    def __init__(
        self,
        downstream: Downstream,
        core: Exchange,
        bodies: BodyMemory,
        *,
        keep_alive: bool,
        chunks: bool,
        expects: bool,
    ) -> None:
        """``chunks`` says whether the client understands them, ``expects`` that it waits for 100 (Continue)."""
        self.complete = False  # as the base class does: a call of it would cost more than both
        self.keep_alive = keep_alive
        self._started = perf_counter()
        self.downstream = downstream
        self.core = core
        self.body = RequestBody(bodies, expects=expects)
        self.streams = False
        self._timer = downstream.timer
        self._chunks = chunks
        self._in_turn = False  # the requests before it are answered
        self._refusal: Fault | None = None  # what it is answered with in its turn
        self.awaited: OutsideWait | None = None
        self._upstream: UpstreamSide | None = None  # once the request may be sent
        self._held: HeldContent | None = None  # of an answer that is read
        self._writer: AnswerWriter | None = None
        self.status_sent: int = 0  # the status, once the answer has begun
        self._cut_by: Fault | None = None  # what ended it before its answer was whole

    # --- what its state asks for ---

    def begin(self) -> None:
        """Answer, or set out to; called when it is this request's turn, or soon after: then it may have ended since."""
        if self.complete:
            return
        self._in_turn = True
        if self._refusal is not None:
            self._conclude(self._refusal)
            return
        try:
            self.advance(self.core.begin())
        except Exception:
            self.bug()

    def advance(self, state: int) -> None:
        """Do what ``state`` says."""
        if state == SENDING:
            self._send()
        elif state == WAITING:
            assert self.core.awaited is not None
            self.awaited = OutsideWait(self, self.core.awaited)
        elif state == READING:
            self._read_body()
        elif state == REPLYING:
            self._write_reply()

    def go_on(self, value: object) -> None:
        """Go on with what it has waited for."""
        state = self.core.resume(value)
        self.advance(state)
        if state == READING and not self.complete:
            self.downstream.resume_reading()  # what has come of the body meanwhile may have stopped it

    # --- the client's body ---

    def body_came(self, data: bytes) -> None:
        """Take a piece of the request's body."""
        if self.complete:
            return  # an early answer has gone out: the rest is of no use to anybody
        body, state = self.body, self.core.state
        body.seen += len(data)
        plan = self.core.plan
        if plan is None or self._refusal is not None:
            return
        if body.exceeds(plan.route.max_body):
            if self.core.upstream_request is not None:
                self.stop()
                self.advance(self.core.refuse_too_large())
            else:
                self.downstream.pause_reading()  # it is refused in its turn, and only if it is not for who is calling
            return
        upstream = self._upstream
        try:
            if self.streams and upstream is not None:
                data = body.changed(data)
                if upstream.pass_on(data):
                    return
            body.hold(data, self)
            if self.complete or self._refusal is not None:
                return  # it was this one that had to give way
            if state == READING:
                self._timer.set(self, plan.body_silence)
                return
            if upstream is not None and upstream.waits_for_body:
                upstream.start()
        except Exception:
            self.bug()
            return
        connected = upstream is not None and upstream.connected
        if not connected and body.seen > MOST_HELD and not self.complete:
            self.downstream.pause_reading()

    def body_ended(self) -> None:
        """Take note that the request is whole."""
        self.body.whole = True
        if self.complete:
            return
        try:
            if self.core.state == READING:
                self._check_body()
            elif self.streams and self._upstream is not None:
                self._upstream.end_body()
        except Exception:
            self.bug()

    def _read_body(self) -> None:
        """Read a declared body whole, before anything is sent."""
        request, body = self.core.to_send(), self.body
        if body.exceeds(request.plan.route.max_body):
            self.advance(self.core.refuse_too_large())
        elif body.whole or not request.framing.framed:
            self._check_body()
        else:
            body.ask_for(self.downstream)
            self._timer.set(self, request.plan.body_silence)

    def _check_body(self) -> None:
        self._timer.clear()
        self.advance(self.core.body_came(self.body.taken()))

    def abort_request(self, fault: Fault) -> bool:
        """End: what is left of the body cannot be read, or does not come; no part of it may look whole to anybody."""
        if not self.complete:
            self.keep_alive = False
            self.end_with(fault)
        return True

    def cut(self) -> None:
        """Give the body up: the worker holds too much, and this one much for long."""
        self.body.give_up()
        if self.complete or (self._upstream is not None and self._upstream.connected):
            return  # it was only kept for another attempt
        self.keep_alive = False  # the rest of the body is of no use
        fault = Fault(Kind.BODIES_FULL, headers=RETRY_AFTER)
        if self._in_turn:
            self.end_with(fault)
        else:
            self._refusal = fault

    def expired(self) -> None:
        """Nothing more of the body has come for too long."""
        if not self.complete:
            self.keep_alive = False  # what is left of the body may still come
            self.end_with(Fault(Kind.REQUEST_TIMEOUT))

    # --- the service ---

    def _send(self) -> None:
        request, body = self.core.to_send(), self.body
        if body.exceeds(request.plan.route.max_body):
            self.advance(self.core.refuse_too_large())
            return
        if request.content is None and request.plan.route.contract.body is None:
            self.streams = request.framing.framed
        else:
            body.uncount(self)
        if request.body_transform is not None:
            body.change_by(request.body_transform)
        if self.streams:
            attempts = request.started_attempts()
            attempts.streams = True
            body.keep_most = attempts.most_kept()
        self._upstream = upstream = UpstreamSide(self, request, self._timer)
        upstream.start()

    # --- the answer ---

    def answer_begins(self, status: int, headers: Headers) -> None:
        """Take the head of the service's answer, behind which its content comes."""
        core = self.core
        state = core.answer_begins(status, headers)
        if state == BUFFERING:
            self._held = HeldContent(core.to_send().plan.route.max_answer)
            return
        if state != ANSWERING:
            self.stop()
            self.advance(state)
            return
        if not self.body.whole:
            self.keep_alive = self.keep_alive and not self.downstream.rest_is_long()
        assert core.answer is not None
        defaults = self.downstream.default_headers()  # which may say that this is the last answer here
        self._writer = writer = AnswerWriter(
            self.downstream,
            core.answer,
            core.filters,
            defaults,
            keep_alive=self.keep_alive,
            bodyless=core.request.method == b"HEAD",
            chunks=self._chunks,
        )
        self.keep_alive = writer.keep_alive
        self.status_sent = core.answer.status

    def content_came(self, data: bytes) -> None:
        """Take a piece of the answer's content."""
        held = self._held
        if held is not None:
            if not held.add(data):
                self.stop()
                most = self.core.to_send().plan.route.max_answer
                self.advance(self.core.refuse(Fault(Kind.UPSTREAM_TOO_LARGE, cause=f"more than {most} bytes")))
        elif self._writer is not None:  # else it was refused
            try:
                self._writer.write(data)
            except Exception:
                self.bug()

    def content_paused(self) -> None:
        """Nothing more has come of the answer for now."""
        if self._writer is not None:
            try:
                self._writer.flush()
            except Exception:
                self.bug()
                return
        if self._upstream is not None:
            self._upstream.await_more()

    def answer_whole(self) -> None:
        """The service's answer has ended."""
        if self._upstream is not None:
            self._upstream.answer_ended()
        try:
            held = self._held
            if held is not None:
                self._timer.clear()
                self.advance(self.core.answer_whole(held.whole()))
            elif self._writer is not None:  # else it was refused
                self._writer.end()
                self._complete(None)
        except Exception:
            self.bug()

    def answer_failed(self, fault: Fault) -> None:
        """The answer has not begun, or will not become whole, and no other attempt is made."""
        if self._writer is not None:
            self._writer.begun()
        self._conclude(fault)

    def pause(self) -> None:
        """The client reads too slowly."""
        if self._upstream is not None and self.status_sent:
            self._upstream.pause()

    def resume(self) -> None:
        """The client has caught up."""
        if self._upstream is not None and self.status_sent:
            self._upstream.resume()

    # --- the end ---

    def client_gone(self, fault: Fault) -> None:
        """The connection has ended: the client closed it, or ``fault`` says why it was cut."""
        if not self.complete:
            self.stop()
            self.complete = True
            self._settle(fault, cut=self.status_sent > 0 and fault.kind is not Kind.CLIENT_CLOSED)

    def drop(self, fault: Fault) -> None:
        """As ``client_gone``."""
        self.client_gone(fault)

    def detach(self) -> None:
        """Hold nothing more: another answer takes the place of this request's in the line, and in the log."""
        self.complete = True
        self.body.release(self)

    def cause_of_end(self) -> Fault | None:
        """Return what has cut it."""
        return self._cut_by

    def bug(self) -> None:
        """Our own mistake: it goes to the log, and the client learns that there was one."""
        _log.exception("%s %s failed", *shown(self.core.outcome))
        if not self.complete:
            self.stop()
            if self._writer is not None and self._writer.head_is_held():
                self.status_sent = 0  # nothing of the answer is out: the client gets another
                self._writer = None
            self._conclude(_BUG)

    def stop(self) -> None:
        """Let go of the service and of whatever is under way."""
        self._timer.clear()
        if self._upstream is not None:
            self._upstream.stop()
        awaited, self.awaited = self.awaited, None
        if awaited is not None:
            awaited.cancel()
        self._held = None
        if not self.status_sent:
            self._writer = None

    def end_with(self, fault: Fault) -> None:
        """Let go of everything, and tell the client ``fault``, or cut an answer that has begun."""
        self.stop()
        self._conclude(fault)

    def _conclude(self, fault: Fault) -> None:
        if self.status_sent:
            # The head is out: what the client gets must not look whole.
            self._complete(fault, cut=True)
        else:
            self.advance(self.core.refuse(fault))

    def _write_reply(self) -> None:
        core = self.core
        reply = core.reply
        assert reply is not None
        self.status_sent = reply.status
        self.keep_alive = self.keep_alive and not self.downstream.rest_is_long()
        head = core.request.method == b"HEAD"
        defaults = self.downstream.default_headers()
        self.downstream.write(reply_bytes(reply, defaults, keep_alive=self.keep_alive, bodyless=head))
        self._complete(core.fault)

    def _complete(self, fault: Fault | None, *, cut: bool = False) -> None:
        self.complete = True
        if cut:
            self._cut_by = fault
        self._timer.clear()
        self._settle(fault, cut=cut)
        self.keep_alive = self.keep_alive and not cut
        self.downstream.completed(close=not self.keep_alive)

    def _settle(self, fault: Fault | None, *, cut: bool = False) -> None:
        self.body.release(self)
        self._upstream = None  # which knows this exchange
        self.core.settle(self.status_sent, fault, cut=cut, seconds=perf_counter() - self._started)

    def __repr__(self) -> str:
        """Show how far it is."""
        state = "complete" if self.complete else "answering" if self.status_sent else "waiting"
        return f"<DirectExchange {self.core.request!r} {state}>"
