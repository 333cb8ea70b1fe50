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
from limen.engines.direct.hedge_timer import HedgeTimer
from limen.engines.direct.pipelined import PipelinedRequest
from limen.engines.direct.request_body import RequestBody
from limen.engines.direct.timers import Timer
from limen.errors import RETRY_AFTER, Fault, Kind
from limen.fairness.body_memory import BodyMemory
from limen.http.headers import Headers
from limen.observe.access import shown
from limen.observe.redaction import logger
from limen.pipeline.attempts import Attempts
from limen.pipeline.exchange import Exchange
from limen.pipeline.states import ANSWERING, BUFFERING, READING, REPLYING, SENDING, WAITING
from limen.pipeline.steps import MOST_HELD, must_buffer_body
from limen.pipeline.target_attempt import TargetAttempt
from limen.upstream.connection import Connection

_log = logger("limen.direct")

_BUG: Final = Fault(Kind.INTERNAL_ERROR)

# What a proxy says of itself and of whom it speaks for, trusted or not.
_OF_PROXIES: Final = frozenset((b"via", b"forwarded", b"x-forwarded-for", b"x-real-ip"))


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
            "_hedge_timer",
            "_pausing",
            "_rival",
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
        self._rival: Attempt | None = None  # one that began later, while the first goes on
        self._hedge_timer: HedgeTimer | None = None
        self._pausing: asyncio.TimerHandle | None = None  # until the next attempt
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
            if self.core.upstream_request is not None:
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
                body.passed_on(data, self)
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
                    body.passed_on(rest, self)
                elif rest:
                    body.hold(rest, self)
                if self._waits_for_body and not self.complete:
                    self._start_attempt()
                else:
                    self._watch_from_end_of_body()
        except Exception:
            self.bug()

    def _watch_from_end_of_body(self) -> None:
        attempt = self._attempt
        if attempt is not None and attempt.trial is not None and not self._status_sent:
            self._watch(attempt.trial)

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
        if self._too_long():
            self._advance(core.refuse_too_large())
        elif self.body.whole or not core.to_send().framing.framed:
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
        if self.complete or (self._attempt is not None and self._attempt.connected):
            return  # it was only kept for another attempt
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
        core, request = self.core, self.core.to_send()
        if self.body.seen and self._too_long():
            self._advance(core.refuse_too_large())
            return
        if request.content is None and request.plan.route.contract.body is None:
            self.streams = request.framing.framed
        else:
            self.body.uncount(self)
        if request.body_transform is not None:
            self.body.change_by(request.body_transform)
        if self.streams:
            self.attempts.streams = True
            self.body.keep_most = self.attempts.most_kept()
        self._start_attempt()

    @property
    def attempts(self) -> Attempts:
        """What decides about the attempts."""
        return self.core.to_send().started_attempts()

    def _start_attempt(self) -> None:
        self._pausing = None
        if self.streams and self.must_wait_for_body():
            return
        private = None if self.downstream.private is None else self._private_connection()
        attempt = self._new_attempt(self._timer)
        self._attempt = attempt
        attempt.begin(private)
        if attempt.trial is None or attempt is not self._attempt or self._status_sent:
            return
        if (
            not self.streams or self.body.whole
        ):  # else it waits for its client, and is watched from the end of the body on
            # It has been sent if its timer is set, and that was just now; else it waits for a connection.
            self._watch(attempt.trial, self._timer.set_at if self._timer.owner is attempt else -1.0)

    def _new_attempt(self, timer: Timer) -> Attempt:
        plan, attempts = self.core.plan, self.attempts
        assert plan is not None
        trial = attempts.begin()
        if trial is None:
            only = attempts.upstream.only
            assert only is not None
            return Attempt(self, plan, only.pool, None, timer)
        return Attempt(self, plan, trial.target.pool, trial, timer)

    def _private_connection(self) -> Connection | None:
        """Return the client's own connection to the service, if there is one; then the attempt is made at its target."""
        kept = self.downstream.private
        if kept is None or not self.is_of_one_client():
            return None
        private = kept.take(self.attempts.upstream)
        if private is None:
            return None
        self.attempts.bind(private.target)
        return private.connection

    def is_of_one_client(self) -> bool:
        """Tell whether the connection is the client's own: one from a proxy may bring the requests of many."""
        return self.core.request.head.none(_OF_PROXIES)

    def _watch(self, trial: TargetAttempt, begun: float = -1.0) -> None:
        """Begin another attempt if this one takes longer than its route does at other times.

        ``begun`` is the loop's time if that is known; negative has the loop asked.
        """
        seconds = self.attempts.hedge_after(trial)
        if not seconds:
            return
        timer = self._hedge_timer
        if timer is None:
            self._hedge_timer = timer = self.downstream.hedge_timer()
        timer.watch(self, trial, seconds, begun)

    def overdue(self, trial: TargetAttempt) -> None:
        """The answer is late: ask another target as well, if that may be done now, or else soon."""
        attempt = self._attempt
        if self.complete or attempt is None or attempt.trial is not trial or attempt.status or self._rival is not None:
            return
        whole = not self.streams or self.body.whole
        if not self.attempts.may_hedge(replayable=whole and not self.body.forwarded):
            self._watch(trial)
            return
        try:
            self._rival = rival = self._new_attempt(Timer(self._timer.timers))
            rival.begin()
        except Exception:
            self.bug()

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

    def attempt_put_off(self, attempt: Attempt) -> None:
        """More of the body has to come after all."""
        self.attempts.put_off(attempt.trial)
        self._attempt = None

    def attempt_failed(self, attempt: Attempt, fault: Fault, *, sent: bool, reused: bool) -> None:
        """Wait for the other attempt if there is one; else try once more where that is safe, or tell the client."""
        if self._goes_on_without(attempt):
            return
        self._attempt = None
        if self._writer is not None:
            self._writer.begun()
        if not self._status_sent and not attempt.status:
            replayable = not self.body.forwarded
            if self._try_again(self.attempts.after_fault(fault, sent=sent, reused=reused, replayable=replayable)):
                return
            if self.core.fall_back(fault, sent=sent, replayable=replayable):
                self._try_again(0.0)
                return
        self._conclude(fault)

    def _goes_on_without(self, attempt: Attempt) -> bool:
        """Tell whether there is another attempt than ``attempt``, which has ended: then that is the one to wait for.

        It may be late as well, or may have been from the first: then yet another begins.
        """
        other = self._rival if attempt is self._attempt else self._attempt
        if self._rival is None or other is None:
            return False
        self._attempt, self._rival = other, None
        if other.trial is not None:
            self._watch(other.trial)
        return True

    def _try_again(self, seconds: float) -> bool:
        """Begin another attempt in so many seconds; False for NEVER."""
        if seconds < 0.0:
            return False
        self._timer.clear()
        if seconds == 0.0:
            self._start_attempt()
        else:
            self._pausing = self.downstream.loop.call_later(seconds, self._pause_over)
        return True

    def _pause_over(self) -> None:
        try:
            if not self.complete:
                self._start_attempt()
        except Exception:
            self.bug()

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
        fault = Fault(Kind.ANSWER_TIMEOUT, cause=cause)
        attempt.cancel(fault)
        if not self._status_sent:
            self.attempt_failed(attempt, fault, sent=True, reused=False)
            return
        self._stop()
        self._conclude(fault)

    # --- the answer ---

    def answer_begins(self, attempt: Attempt, status: int, headers: Headers) -> None:
        """Take the head of the answer to ``attempt``: the first one is the answer, unless another attempt replaces it."""
        core = self.core
        if attempt.trial is not None and self._is_replaced(attempt, status):
            return
        if status >= 500 and core.replaces(status, headers, replayable=not self.body.forwarded):
            self._stop()
            if core.state == SENDING:
                self._start_attempt()
            else:
                self._advance(core.state)
            return
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

    def _is_replaced(self, attempt: Attempt, status: int) -> bool:
        """Tell whether another attempt takes the place of one that is answered with ``status``; else no other goes on."""
        other = self._rival if attempt is self._attempt else self._attempt
        if self._rival is not None and other is not None:
            if self.attempts.is_failure(status):
                attempt.cancel()
                return self._goes_on_without(attempt)
            other.lose(overtaken=attempt is self._rival)
            self._attempt, self._rival = attempt, None
        if self._hedge_timer is not None:
            self._hedge_timer.clear()
        if status < 500:
            return False
        seconds = self.attempts.after_status(status, replayable=not self.body.forwarded)
        if seconds < 0.0:
            return False
        attempt.cancel()
        self._attempt = None
        return self._try_again(seconds)

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
        self._stop_others()
        asked, self._awaited = self._awaited, None
        if asked is not None and self._owns_awaited:
            # Not at once: it may not have begun, and what it would have awaited would never be awaited.
            self.downstream.loop.call_soon(asked.cancel)
        self._buffer = None
        if not self._status_sent:
            self._writer = None

    def _stop_others(self) -> None:
        """Let go of a second attempt, and begin no other."""
        rival, self._rival = self._rival, None
        if rival is not None:
            rival.cancel()
        if self._hedge_timer is not None:
            self._hedge_timer.clear()
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None
        request = self.core.upstream_request
        if request is not None and request.attempts is not None:
            request.attempts.give_up()

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
