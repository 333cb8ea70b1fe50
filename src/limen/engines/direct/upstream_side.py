"""The service's side of one request on the direct engine: its attempts, one after the other, or two while the first is late.

``limen.pipeline.attempts`` decides which attempt follows, and when; ``Attempt`` makes one.

1. ``start``           the next attempt, unless more of a body that streams has to come first
2. ``pass_on``, ``end_body``   such a body goes to the attempt that has a connection
3. ``overdue``         the answer is late: another target is asked as well
4. ``failed``, ``expired``     another attempt, another service, or the end
5. ``answered``        the first final head is the answer; what it replaces, or is replaced by, is given up
6. ``stop``            let go of the service, at any point
"""

import asyncio
from typing import TYPE_CHECKING, Final, final

from limen.engines.direct.attempt import Attempt
from limen.engines.direct.hedge_timer import HedgeTimer
from limen.engines.direct.timers import Timer
from limen.errors import Fault, Kind
from limen.http.headers import Headers
from limen.pipeline.attempts import Attempts
from limen.pipeline.states import SENDING
from limen.pipeline.steps import must_buffer_body
from limen.pipeline.target_attempt import TargetAttempt
from limen.pipeline.upstream_request import UpstreamRequest
from limen.upstream.connection import Connection

if TYPE_CHECKING:
    from limen.engines.direct.exchange import DirectExchange

# What a proxy says of itself and of whom it speaks for, trusted or not.
_OF_PROXIES: Final = frozenset((b"via", b"forwarded", b"x-forwarded-for", b"x-real-ip"))


@final
class UpstreamSide:
    """Makes the attempts of one exchange, which lets go of it when it is complete. ``request`` is what the service gets."""

    __slots__ = ("_attempt", "_exchange", "_hedge_timer", "_pausing", "_rival", "_timer", "request", "waits_for_body")

    def __init__(self, exchange: "DirectExchange", request: UpstreamRequest, timer: Timer) -> None:
        """Nothing is asked of anybody yet; ``timer`` is the exchange's."""
        self._exchange = exchange
        self.request = request
        self._timer = timer
        self._attempt: Attempt | None = None
        self._rival: Attempt | None = None  # one that began later, while the first goes on
        self._hedge_timer: HedgeTimer | None = None
        self._pausing: asyncio.TimerHandle | None = None  # until the next attempt
        self.waits_for_body = False  # for more of it, before there may be a connection

    @property
    def attempts(self) -> Attempts:
        """What decides about the attempts."""
        attempts = self.request.attempts
        assert attempts is not None
        return attempts

    # --- an attempt begins ---

    def start(self) -> None:
        """Make the next attempt, unless more of the body has to come first."""
        exchange = self._exchange
        self._pausing = None
        if exchange.streams and self.must_wait_for_body():
            return
        private = None if exchange.downstream.private is None else self._private_connection()
        attempt = self._new_attempt(self._timer)
        self._attempt = attempt
        attempt.begin(private)
        if attempt.trial is None or attempt is not self._attempt or exchange.status_sent:
            return
        if (
            not exchange.streams or exchange.body.whole
        ):  # else it waits for its client, and is watched from the end of the body on
            # It has been sent if its timer is set, and that was just now; else it waits for a connection.
            self._watch(attempt.trial, self._timer.set_at if self._timer.owner is attempt else -1.0)

    def _new_attempt(self, timer: Timer) -> Attempt:
        attempts, plan = self.attempts, self.request.plan
        trial = attempts.begin()
        if trial is None:
            only = attempts.upstream.only
            assert only is not None
            return Attempt(self._exchange, self, plan, only.pool, None, timer)
        return Attempt(self._exchange, self, plan, trial.target.pool, trial, timer)

    def _private_connection(self) -> Connection | None:
        """Return the client's own connection to the service, if there is one; then the attempt is made at its target."""
        kept = self._exchange.downstream.private
        if kept is None or not self.is_of_one_client():
            return None
        private = kept.take(self.attempts.upstream)
        if private is None:
            return None
        self.attempts.bind(private.target)
        return private.connection

    def is_of_one_client(self) -> bool:
        """Tell whether the connection is the client's own: one from a proxy may bring the requests of many."""
        return self._exchange.core.request.head.none(_OF_PROXIES)

    # --- a body that streams ---

    def must_wait_for_body(self) -> bool:
        """Tell whether more of a body that streams has to come first. Each piece of it asks again, and so does its end."""
        exchange = self._exchange
        if not exchange.streams:
            return False
        body, plan = exchange.body, self.request.plan
        waits = not body.whole and must_buffer_body(plan, body.seen)
        if waits:
            body.ask_for(exchange.downstream)
            self._timer.set(exchange, plan.body_silence)
        elif self.waits_for_body:
            self._timer.clear()
        self.waits_for_body = waits
        return waits

    def put_off(self, attempt: Attempt) -> None:
        """More of the body has to come after all, before ``attempt`` may have a connection."""
        self.attempts.put_off(attempt.trial)
        self._attempt = None

    @property
    def connected(self) -> bool:
        """Tell whether an attempt has a connection."""
        return self._attempt is not None and self._attempt.connected

    def pass_on(self, data: bytes) -> bool:
        """Write a piece of the body; False while there is no connection to write it to."""
        if self._attempt is None or not self._attempt.pass_on(data):
            return False
        self._exchange.body.passed_on(data, self._exchange)
        return True

    def end_body(self) -> None:
        """Write the end of the body, or begin the attempt that has waited for it."""
        exchange, attempt = self._exchange, self._attempt
        body = exchange.body
        rest = body.rest()
        if attempt is not None and attempt.connected:
            attempt.end_request(rest)
            body.passed_on(rest, exchange)
        elif rest:
            body.hold(rest, exchange)
        if self.waits_for_body and not exchange.complete:
            self.start()
            return
        attempt = self._attempt
        if attempt is not None and attempt.trial is not None and not exchange.status_sent:
            self._watch(attempt.trial)

    # --- another attempt ---

    def _watch(self, trial: TargetAttempt, begun: float = -1.0) -> None:
        """Begin another attempt if this one takes longer than its route does at other times.

        ``begun`` is the loop's time if that is known; negative has the loop asked.
        """
        seconds = self.attempts.hedge_after(trial)
        if not seconds:
            return
        timer = self._hedge_timer
        if timer is None:
            self._hedge_timer = timer = self._exchange.downstream.hedge_timer()
        timer.watch(self, trial, seconds, begun)

    def overdue(self, trial: TargetAttempt) -> None:
        """The answer is late: ask another target as well, if that may be done now, or else soon."""
        exchange, attempt = self._exchange, self._attempt
        if exchange.complete or attempt is None or attempt.trial is not trial or attempt.status:
            return
        if self._rival is not None:
            return
        body = exchange.body
        whole = not exchange.streams or body.whole
        if not self.attempts.may_hedge(replayable=whole and not body.forwarded):
            self._watch(trial)
            return
        try:
            self._rival = rival = self._new_attempt(Timer(self._timer.timers))
            rival.begin()
        except Exception:
            exchange.bug()

    def failed(self, attempt: Attempt, fault: Fault, *, sent: bool, reused: bool) -> None:
        """Wait for the other attempt if there is one; else try once more where that is safe, or tell the client."""
        if self._goes_on_without(attempt):
            return
        self._attempt = None
        exchange = self._exchange
        if not exchange.status_sent and not attempt.status:
            replayable = not exchange.body.forwarded
            if self._try_again(self.attempts.after_fault(fault, sent=sent, reused=reused, replayable=replayable)):
                return
            if exchange.core.fall_back(fault, sent=sent, replayable=replayable):
                self._try_again(0.0)
                return
        exchange.answer_failed(fault)

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
            self.start()
        else:
            self._pausing = self._exchange.downstream.loop.call_later(seconds, self._pause_over)
        return True

    def _pause_over(self) -> None:
        try:
            if not self._exchange.complete:
                self.start()
        except Exception:
            self._exchange.bug()

    def expired(self, attempt: Attempt) -> None:
        """Somebody took too long."""
        exchange = self._exchange
        if exchange.complete:
            return
        if not exchange.status_sent and not exchange.body.whole and exchange.streams:
            if not attempt.service_stopped_reading():
                exchange.expired()
                return
            cause = "the service stopped reading the request"
        else:
            cause = "silence" if exchange.status_sent else "no answer"
        fault = Fault(Kind.ANSWER_TIMEOUT, cause=cause)
        attempt.cancel(fault)
        if exchange.status_sent:
            exchange.end_with(fault)
        else:
            self.failed(attempt, fault, sent=True, reused=False)

    # --- the answer ---

    def answered(self, attempt: Attempt, status: int, headers: Headers) -> None:
        """Take the head of the answer to ``attempt``: the first one is the answer, unless another attempt replaces it."""
        if attempt.trial is not None and self._is_replaced(attempt, status):
            return
        exchange = self._exchange
        core = exchange.core
        if status >= 500 and core.replaces(status, headers, replayable=not exchange.body.forwarded):
            exchange.stop()
            if core.state == SENDING:
                self.start()
            else:
                exchange.advance(core.state)
            return
        exchange.answer_begins(status, headers)

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
        seconds = self.attempts.after_status(status, replayable=not self._exchange.body.forwarded)
        if seconds < 0.0:
            return False
        attempt.cancel()
        self._attempt = None
        return self._try_again(seconds)

    def await_more(self) -> None:
        """Wait for more of the answer, unless the client has to catch up first."""
        attempt = self._attempt
        if attempt is None:
            return
        if self._exchange.status_sent and self._exchange.downstream.is_stalled():
            attempt.pause()
        else:
            attempt.await_answer()

    def pause(self) -> None:
        """The client reads too slowly."""
        if self._attempt is not None:
            self._attempt.pause()

    def resume(self) -> None:
        """The client has caught up."""
        if self._attempt is not None:
            self._attempt.resume()

    # --- the end ---

    def answer_ended(self) -> None:
        """The answer is whole: there is no attempt any more."""
        self._attempt = None

    def stop(self) -> None:
        """Let go of the service, and begin no other attempt."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
        rival, self._rival = self._rival, None
        if rival is not None:
            rival.cancel()
        if self._hedge_timer is not None:
            self._hedge_timer.clear()
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None
        self.attempts.give_up()

    def __repr__(self) -> str:
        """Show which attempts go on."""
        return f"<UpstreamSide {self._attempt!r}{'' if self._rival is None else f' and {self._rival!r}'}>"
