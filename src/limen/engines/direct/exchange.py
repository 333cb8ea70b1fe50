"""One request on the direct engine, in callbacks, without a task or a timer of its own.

``limen.pipeline.exchange`` decides; here is what it takes to do what it says:

1. ``begin``      it is this request's turn: do what the exchange's state says (``_advance``)
2. ``body_came``, ``body_ended``   the client's body: held, checked, or passed on (``RequestBody``)
3. ``_start_attempt``              a connection, and the request on it (``Attempt``); perhaps once more
4. ``answer_begins`` and after it  the answer passes (``AnswerWriter``), or is read and checked first
5. ``_complete``                   settle, exactly once, and give the client's connection back
"""

import asyncio
from collections.abc import Awaitable
from time import perf_counter
from typing import Any, Final, final

from limen.engines.direct.answer_writer import AnswerWriter
from limen.engines.direct.attempt import Attempt
from limen.engines.direct.downstream import CONTINUE, Downstream, reply_bytes
from limen.engines.direct.pipelined import PipelinedRequest
from limen.engines.direct.request_body import RequestBody
from limen.errors import RETRY_AFTER, Fault, Kind
from limen.fairness.body_memory import BodyMemory
from limen.http.headers import Headers
from limen.observe.access import shown
from limen.observe.redaction import logger
from limen.pipeline.exchange import ANSWERING, BUFFERING, READING, REPLYING, SENDING, WAITING, Exchange
from limen.pipeline.steps import MOST_HELD, must_buffer_body

_log = logger("limen.direct")

_BUG: Final = Fault(Kind.INTERNAL_ERROR)


@final
class DirectExchange(PipelinedRequest):
    """One request. ``core`` decides; ``streams`` says that the request's body passes on as it comes."""

    __slots__ = (
        *(
            "_awaited",
            "_owns_awaited",
            "_attempt",
            "_buffer",
            "_buffered",
            "_chunks",
            "_cut_by",
            "_expects",
            "_in_turn",
        ),
        *("_refusal", "_status_sent", "_started", "_timer", "_waits_for_body", "_writer"),
        *("body", "core", "downstream", "streams"),
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
        self.body = RequestBody(bodies)
        self.streams = False
        self._timer = downstream.timer
        self._chunks = chunks
        self._expects = expects
        self._in_turn = False  # the requests before it are answered
        self._refusal: Fault | None = None  # what it is answered with in its turn
        self._waits_for_body = False  # for more of the body, before it may have a connection
        self._attempt: Attempt | None = None
        self._owns_awaited = False
        self._awaited: asyncio.Future[Any] | None = (
            None  # somebody else's: an identity provider's, a policy's, a hook's
        )
        self._buffer: list[bytes] | None = None  # an answer that is read
        self._buffered: int = 0
        self._writer: AnswerWriter | None = None
        self._status_sent: int = 0  # the status, once the answer has begun
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
            self._advance(self.core.begin())
        except Exception:
            self.bug()

    def _advance(self, state: int) -> None:
        """Do what ``state`` says."""
        if state == SENDING:
            self._send()
        elif state == WAITING:
            assert self.core.awaited is not None
            self._wait_for(self.core.awaited)
        elif state == READING:
            self._read_body()
        elif state == REPLYING:
            self._write_reply()

    def _wait_for(self, asked: Awaitable[Any]) -> None:
        """Go on when somebody else has the answer, unless the request has ended by then."""
        self._awaited = task = asyncio.ensure_future(asked, loop=self.downstream.loop)
        self._owns_awaited = task is not asked or not self.core.waits_for_policy  # else others may wait for it, too
        task.add_done_callback(self._resume)

    def _resume(self, task: "asyncio.Future[Any]") -> None:
        late = task is not self._awaited
        if task.cancelled():
            if not late:
                self._awaited = None
                _log.error("%s %s failed: what it waited for was cancelled", *shown(self.core.outcome))
                self._conclude(_BUG)
            return
        try:
            value = task.result()
            if late:
                self.core.abandon(value)
                return
            self._awaited = None
            state = self.core.resume(value)
            self._advance(state)
            if state == READING and not self.complete:
                self.downstream.resume_reading()  # what has come of the body meanwhile may have stopped it
        except Exception:
            if not late:
                self._awaited = None
                self.bug()

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
        if self._too_long():
            if self.core.framing is not None:
                self._stop()
                self._advance(self.core.refuse_too_large())
            else:
                self.downstream.pause_reading()  # it is refused in its turn, and only if it is not for who is calling
            return
        if self.streams:
            try:
                data = body.changed(data)
            except Exception:
                self.bug()
                return
            if self._attempt is not None and self._attempt.pass_on(data):
                return
        body.hold(data, self)
        if self.complete or self._refusal is not None:
            return  # it was this one that had to give way
        if state == READING:
            self._timer.set(self, plan.body_silence)
            return
        if self._waits_for_body:
            try:
                self._start_attempt()
            except Exception:
                self.bug()
        connected = self._attempt is not None and self._attempt.connected
        if not connected and body.seen > MOST_HELD and not self.complete:
            self.downstream.pause_reading()

    def body_ended(self) -> None:
        """Take note that the request is whole."""
        body = self.body
        body.whole = True
        if self.complete:
            return
        try:
            if self.core.state == READING:
                self._check_body()
            elif self.streams:
                rest = body.rest()
                if self._attempt is not None and self._attempt.connected:
                    self._attempt.end_request(rest)
                elif rest:
                    body.hold(rest, self)
                if self._waits_for_body and not self.complete:
                    self._start_attempt()
        except Exception:
            self.bug()

    def _too_long(self) -> bool:
        """Tell whether more of the body has come than its route allows."""
        plan = self.core.plan
        if plan is None:
            return False
        most = plan.route.max_body
        return most is not None and self.body.seen > most

    def _read_body(self) -> None:
        """Read a declared body whole, before anything is sent."""
        core = self.core
        assert core.plan is not None
        assert core.framing is not None
        if self._too_long():
            self._advance(core.refuse_too_large())
        elif self.body.whole or not core.framing.framed:
            self._check_body()
        else:
            self.want_body()
            self._timer.set(self, core.plan.body_silence)

    def _check_body(self) -> None:
        body = self.body
        content = b"".join(body.parts)
        self._timer.clear()
        body.parts.clear()  # what was made of them counts until it is checked
        self._advance(self.core.body_came(content))

    def want_body(self) -> None:
        """Let the client send its body, if it waits to be told."""
        if self._expects and not self.body.whole and not self.body.seen:
            self.downstream.write(CONTINUE)
        self._expects = False

    def abort_request(self, fault: Fault) -> bool:
        """End: what is left of the body cannot be read, or does not come; no part of it may look whole to anybody."""
        if not self.complete:
            self._stop()
            self.keep_alive = False
            self._conclude(fault)
        return True

    def cut(self) -> None:
        """Give the body up: the worker holds too much, and this one much for long."""
        self.body.give_up()
        if self.complete:
            return
        self.keep_alive = False  # the rest of the body is of no use
        fault = Fault(Kind.BODIES_FULL, headers=RETRY_AFTER)
        if self._in_turn:
            self._stop()
            self._conclude(fault)
        else:
            self._refusal = fault

    def expired(self) -> None:
        """Nothing more of the body has come for too long."""
        if not self.complete:
            self._stop()
            self.keep_alive = False  # what is left of the body may still come
            self._conclude(Fault(Kind.REQUEST_TIMEOUT))

    # --- the attempts ---

    def _send(self) -> None:
        core = self.core
        assert core.framing is not None
        if self.body.seen and self._too_long():
            self._advance(core.refuse_too_large())
            return
        if core.content is None and core.plan is not None and core.plan.route.contract.body is None:
            self.streams = core.framing.framed
        else:
            self.body.uncount(self)
        if core.body_transform is not None:
            self.body.change_by(core.body_transform)
        self._start_attempt()

    def _start_attempt(self) -> None:
        core = self.core
        assert core.plan is not None
        if self.streams and self.must_wait_for_body():
            return
        core.attempts += 1
        self._attempt = attempt = Attempt(self, core.plan, self._timer)
        attempt.begin()

    def must_wait_for_body(self) -> bool:
        """Tell whether more of a body that streams has to come first. Each piece of it asks again, and so does its end."""
        plan = self.core.plan
        assert plan is not None
        if not self.streams:
            return False
        waits = not self.body.whole and must_buffer_body(plan, self.body.seen)
        if waits:
            self.want_body()
            self._timer.set(self, plan.body_silence)
        elif self._waits_for_body:
            self._timer.clear()
        self._waits_for_body = waits
        return waits

    def attempt_put_off(self) -> None:
        """More of the body has to come after all."""
        self.core.attempts -= 1
        self._attempt = None

    def attempt_failed(self, fault: Fault, *, sent: bool, reused: bool) -> None:
        """Try once more where that is safe, else tell the client."""
        self._attempt = None
        if self._writer is not None:
            self._writer.begun()
        replayable = not self.body.forwarded
        if not self._status_sent and self.core.may_retry(fault, sent=sent, reused=reused, replayable=replayable):
            self._timer.clear()
            self._start_attempt()
            return
        self._conclude(fault)

    def attempt_expired(self, attempt: Attempt) -> None:
        """Somebody took too long."""
        if self.complete:
            return
        if not self._status_sent and not self.body.whole and self.streams:
            if not attempt.service_stopped_reading():
                self.expired()
                return
            cause = "the service stopped reading the request"
        else:
            cause = "silence" if self._status_sent else "no answer"
        self._stop()
        self._conclude(Fault(Kind.ANSWER_TIMEOUT, cause=cause))

    # --- the answer ---

    def answer_begins(self, status: int, headers: Headers) -> None:
        """Take the head of the service's answer."""
        core = self.core
        state = core.answer_begins(status, headers)
        if state == BUFFERING:
            self._buffer = []
            return
        if state != ANSWERING:
            self._stop()
            self._advance(state)
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
        self._status_sent = core.answer.status

    def content_came(self, data: bytes) -> None:
        """Take a piece of the answer's content."""
        buffer = self._buffer
        if buffer is None:
            if self._writer is not None:  # else it was refused
                try:
                    self._writer.write(data)
                except Exception:
                    self.bug()
            return
        plan = self.core.plan
        assert plan is not None
        self._buffered += len(data)
        most = plan.route.max_answer
        if self._buffered > most:
            self._stop()
            self._refuse(Fault(Kind.UPSTREAM_TOO_LARGE, cause=f"more than {most} bytes"))
        else:
            buffer.append(data)

    def content_paused(self) -> None:
        """Nothing more has come of the answer for now."""
        if self._writer is not None:
            try:
                self._writer.flush()
            except Exception:
                self.bug()
                return
        attempt = self._attempt
        if attempt is not None:
            if self._status_sent and self.downstream.is_stalled():
                attempt.pause()
            else:
                attempt.await_answer()

    def answer_whole(self) -> None:
        """The service's answer has ended."""
        self._attempt = None
        try:
            buffer = self._buffer
            if buffer is not None:
                self._timer.clear()
                self._advance(self.core.answer_whole(b"".join(buffer)))
            elif self._writer is not None:  # else it was refused
                self._writer.end()
                self._complete(None)
        except Exception:
            self.bug()

    def pause(self) -> None:
        """The client reads too slowly."""
        if self._attempt is not None and self._status_sent:
            self._attempt.pause()

    def resume(self) -> None:
        """The client has caught up."""
        if self._attempt is not None and self._status_sent:
            self._attempt.resume()

    # --- the end ---

    def client_gone(self, fault: Fault) -> None:
        """The connection has ended: the client closed it, or ``fault`` says why it was cut."""
        if not self.complete:
            self._stop()
            self.complete = True
            self._settle(fault, cut=self._status_sent > 0 and fault.kind is not Kind.CLIENT_CLOSED)

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
            self._stop()
            if self._writer is not None and self._writer.head_is_held():
                self._status_sent = 0  # nothing of the answer is out: the client gets another
                self._writer = None
            self._conclude(_BUG)

    def _stop(self) -> None:
        """Let go of the service and of whatever is under way."""
        self._timer.clear()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
        asked, self._awaited = self._awaited, None
        if asked is not None and self._owns_awaited:
            # Not at once: it may not have begun, and what it would have awaited would never be awaited.
            self.downstream.loop.call_soon(asked.cancel)
        self._buffer = None
        if not self._status_sent:
            self._writer = None

    def _conclude(self, fault: Fault) -> None:
        if self._status_sent:
            # The head is out: what the client gets must not look whole.
            self._complete(fault, cut=True)
        else:
            self._refuse(fault)

    def _refuse(self, fault: Fault) -> None:
        self._advance(self.core.refuse(fault))

    def _write_reply(self) -> None:
        core = self.core
        reply = core.reply
        assert reply is not None
        self._status_sent = reply.status
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
        self.core.settle(self._status_sent, fault, cut=cut, seconds=perf_counter() - self._started)

    def __repr__(self) -> str:
        """Show how far it is."""
        state = "complete" if self.complete else "answering" if self._status_sent else "waiting"
        return f"<DirectExchange {self.core.request!r} {state}>"
