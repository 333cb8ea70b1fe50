"""One try at one target on the direct engine: a connection, the request on it, and the answer as it comes.

1. ``begin``   a connection at once if one is idle, else from a task
2. ``_send``   write the head, and what has come of the body; ``pass_on`` and ``end_request`` write the rest of it
3. ``head``, ``body``, ``flush``, ``end``, ``fault``   the answer: it is the sink of the connection
4. ``cancel``  let go, at any point

How it ended is told once, as an ``AttemptResult``. Another attempt is another object.
"""

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, final

from limen.engines.direct.timers import Timer
from limen.errors import Fault
from limen.exchange.attempt import AttemptResult
from limen.http.headers import Headers
from limen.pipeline.target_attempt import TargetAttempt
from limen.runtime.plan import Plan
from limen.upstream import request
from limen.upstream.connection import Connection
from limen.upstream.error import UpstreamError
from limen.upstream.pool import Pool

if TYPE_CHECKING:
    from limen.engines.direct.exchange import DirectExchange
    from limen.engines.direct.upstream_side import UpstreamSide


@final
class Attempt:
    """``status`` is that of the answer, 0 before its head has come. ``timer`` is the attempt's own while it lasts.

    ``trial`` is what the health of the target hears of it; None where the upstream has but one.
    """

    __slots__ = (
        *("_began", "_connection", "_exchange", "_plan", "_pool", "_sent_at", "_side", "_task", "_timer", "status"),
        "trial",
    )

    def __init__(
        self,
        exchange: "DirectExchange",
        side: "UpstreamSide",
        plan: Plan,
        pool: Pool,
        trial: TargetAttempt | None,
        timer: Timer,
    ) -> None:
        """Nothing is asked of anybody yet. ``pool`` is that of the target."""
        self._exchange = exchange
        self._side = side
        self._plan = plan
        self._pool = pool
        self._timer = timer
        self._began = 0.0
        self._sent_at = 0.0
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self.status: int = 0
        self.trial = trial

    # --- a connection ---

    def begin(self, private: Connection | None = None) -> None:
        """Get a connection, and send the request on it; ``private`` is one that serves this client alone."""
        connection, trial = private, self.trial
        if connection is None:
            # The clock of the target's pool was asked just now, when the target was picked.
            connection = self._pool.idle() if trial is None else self._pool.idle_at(trial.begun_at)
        if connection is not None:
            self._send(connection)
        else:
            self._task = self._exchange.downstream.loop.create_task(self._acquire())

    async def _acquire(self) -> None:
        exchange = self._exchange
        attempts = self._side.attempts
        if self._side.must_wait_for_body():
            self._task = None  # those before it in this turn of the loop have taken what there was
            self._side.put_off(self)
            return
        self._began = began = perf_counter()
        try:
            try:
                connection = await self._pool.acquire(attempts.time_to_connect())
            except UpstreamError as error:
                attempts.connecting += perf_counter() - began
                self._task = None
                self._end(None, error.fault, sent=False, reused=False, answered=False)
                self._side.failed(self, error.fault, sent=False, reused=False)
                return
            attempts.connecting += perf_counter() - began
            self._task = None
            if self.trial is not None:
                self.trial.connected()
            self._send(connection)
        except Exception:
            self._task = None
            exchange.bug()

    def _send(self, connection: Connection) -> None:
        exchange = self._exchange
        core, body = exchange.core, exchange.body
        self._connection = connection
        self._sent_at = perf_counter()
        if not self._began:
            self._began = self._sent_at
        sends, streams = self._side.request, exchange.streams
        content = sends.content
        length = sends.framing.length if streams else None if content is None else len(content)
        head = request.framing(core.request.method, streamed=streams, length=length)
        authority = connection.target.authority
        adds = core.hooks.attempt_head or self._plan.deadline_name
        own = self._side.attempts.lines(str(connection.target)) if adds else sends.own_lines
        data = request.head(core.request.method, sends.target, authority, sends.lines, own, head)
        more = streams and not body.whole
        if streams:
            # As the client framed it, and not as it happens to have come.
            data += b"".join(body.parts if length is not None else map(request.chunk, filter(None, body.parts)))
            if not more and length is None:
                data += request.LAST_CHUNK
            body.sent(exchange, more=more)
        elif content:
            data += content
        if self._side.attempts.private:
            connection.private = True
        connection.start(self, core.request.method, data, whole=not more)
        if self._connection is not connection:
            return  # it was lost already, and the fault has been dealt with
        if more:
            body.ask_for(exchange.downstream)
            exchange.downstream.resume_reading()
        self.await_answer()

    # --- a body that streams ---

    def pass_on(self, data: bytes) -> bool:
        """Write a piece of the body; False while there is no connection to write it to."""
        connection = self._connection
        if connection is None:
            return False
        framing = self._side.request.framing
        if data:
            connection.write(data if framing.length is not None else request.chunk(data))
        blocked = connection.blocked()
        if blocked is not None:
            self._exchange.downstream.pause_reading()
            blocked.add_done_callback(self._unblocked)
        self.await_answer()
        return True

    def _unblocked(self, future: "asyncio.Future[None]") -> None:
        if not self._exchange.complete:
            self._exchange.downstream.resume_reading()

    def end_request(self, rest: bytes) -> None:
        """Write the end of the body, ``rest`` before it."""
        connection = self._connection
        if connection is None:
            return
        framing = self._side.request.framing
        if framing.length is None:
            connection.write((request.chunk(rest) if rest else b"") + request.LAST_CHUNK)
        connection.finish()
        self.await_answer()

    def service_stopped_reading(self) -> bool:
        """Tell whether the service does not take what is written to it."""
        return self._connection is not None and self._connection.blocked() is not None

    @property
    def connected(self) -> bool:
        """Tell whether there is a connection."""
        return self._connection is not None

    # --- the sink ---

    def head(self, status: int, reason: bytes, headers: Headers) -> None:
        """Take the head of the answer."""
        self.status = status
        try:
            if self.trial is not None:
                self.trial.answered(status)
            self._side.answered(self, status, headers)
        except Exception:
            self._exchange.bug()  # raised on, the parser of the connection would take it for the service's mistake

    def body(self, data: bytes) -> None:
        """Take a piece of the answer's content."""
        self._exchange.content_came(data)

    def flush(self) -> None:
        """Nothing more has come for now."""
        self._exchange.content_paused()

    def end(self) -> None:
        """The answer is whole."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if connection.private:
                self._give_private_back(connection)
            else:
                self._pool.release(connection)
            if self.trial is not None or self._exchange.core.hooks.attempt_ended:
                self._end(connection, None, sent=True, reused=connection.reused, answered=True)
        self._exchange.answer_whole()

    def _give_private_back(self, connection: Connection) -> None:
        """Keep ``connection`` with the client's, unless others may share that, or the target has gone."""
        upstream = self._side.attempts.upstream
        target = upstream.only if self.trial is None else self.trial.target
        if target is None or target.pool is not self._pool or not self._side.is_of_one_client():
            self._pool.release(connection)
        else:
            downstream = self._exchange.downstream
            downstream.keep_private(upstream.upstream.name, target, connection, handshake=self.status == 401)

    def fault(self, fault: Fault) -> None:
        """The answer will not become whole."""
        connection, self._connection = self._connection, None
        if connection is None or self._exchange.complete:
            return
        reused = connection.reused and not connection.answering
        self._pool.release(connection)
        try:
            self._end(connection, fault, sent=True, reused=reused, answered=connection.answering)
            self._side.failed(self, fault, sent=True, reused=reused)
        except Exception:
            self._exchange.bug()

    # --- its time, and its end ---

    def await_answer(self) -> None:
        """Set the deadline of what comes next: the head, or more of the content, or more of the client's body."""
        if self._connection is None:
            return
        timeouts, exchange = self._plan.timeouts, self._exchange
        seconds: float | None
        if exchange.streams and not exchange.body.whole:
            seconds = self._plan.body_silence
        elif self.status:
            seconds = timeouts.idle
        else:
            seconds = timeouts.first_byte
            if self.trial is not None or self._plan.deadline >= 0.0:
                seconds = self._side.attempts.time_to_answer(seconds, replayable=not exchange.body.forwarded)
        if timeouts.total is not None:
            left = max(timeouts.total - (perf_counter() - self._sent_at), 0.0)
            seconds = left if seconds is None else min(seconds, left)
        if seconds is None:
            self._timer.clear()
        else:
            self._timer.set(self, seconds)

    def expired(self) -> None:
        """Somebody took too long."""
        self._side.expired(self)

    def pause(self) -> None:
        """The client reads too slowly: make the service wait, for as long as it takes."""
        if self._connection is not None:
            self._connection.pause()
            self._timer.clear()

    def resume(self) -> None:
        """The client has caught up."""
        if self._connection is not None:
            self._connection.resume()
            self.await_answer()

    def cancel(self, fault: Fault | None = None) -> None:
        """Let go of the service; nothing more is heard of this attempt. ``fault`` is why, if it is the service's."""
        self._timer.clear()
        connection, self._connection = self._connection, None
        task, self._task = self._task, None
        if connection is not None:
            answered, reused = connection.answering, connection.reused
            connection.abort()
            self._pool.release(connection)
            self._end(connection, fault, sent=True, reused=reused, answered=answered)
        elif task is not None:
            task.cancel()
            self._end(None, fault, sent=False, reused=False, answered=False)

    def lose(self, *, overtaken: bool) -> None:
        """Give up, as another attempt is answered; ``overtaken`` says that it began later than this one."""
        if overtaken and self.trial is not None:
            self.trial.overtaken()
        self.cancel()

    def _end(
        self, connection: Connection | None, fault: Fault | None, *, sent: bool, reused: bool, answered: bool
    ) -> None:
        """Say how it ended, to whom it concerns."""
        trial = self.trial
        if trial is not None:
            self._timer.clear()
            if fault is None:
                trial.whole(self.status)
            else:
                trial.failed(fault, reused=reused and not answered)
            trial.end()
        core = self._exchange.core
        if not core.hooks.attempt_ended:
            return
        target = "" if connection is None else str(connection.target)
        if trial is not None:
            target = trial.target.name
        seconds = perf_counter() - self._began if self._began else 0.0
        self._side.attempts.ended(
            AttemptResult(
                target, fault, sent=sent, reused=reused, answered=answered, status=self.status, seconds=seconds
            )
        )

    def __repr__(self) -> str:
        """Show how far it is."""
        return f"<Attempt {self.status or ('sent' if self._connection is not None else 'connecting')}>"
