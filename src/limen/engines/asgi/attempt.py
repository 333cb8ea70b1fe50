"""One try at one target under an ASGI server: a connection, the request on it, and the answer by iteration.

How it ended is told once, as an ``AttemptResult``, whether it was answered, failed or given up. Another attempt is another
object.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final

from limen.engines.asgi.body import RequestBody
from limen.errors import Fault
from limen.exchange.attempt import AttemptResult
from limen.pipeline.exchange import Exchange
from limen.runtime.plan import Plan
from limen.upstream.connection import Connection
from limen.upstream.error import UpstreamError
from limen.upstream.request_sender import UpstreamAnswer, send

# Seconds that an attempt has at least: none at all is not to be told from no bound.
_LEAST: Final = 0.001


class Attempt:
    """One attempt; ``answer`` begins it. ``trial`` is what the health of its target hears; None where there is but one."""

    __slots__ = (
        *("_answer", "_attempts", "_began", "_body", "_connection", "_core", "_plan", "_pool", "_reported"),
        *("_reused", "_wrote", "trial"),
    )

    def __init__(self, core: Exchange, plan: Plan, body: bytes | AsyncIterator[bytes] | None) -> None:
        """Pick a target; nothing is asked of anybody yet."""
        attempts = core.to_send().started_attempts()
        self._attempts = attempts
        self.trial = attempts.begin()
        target = attempts.upstream.only if self.trial is None else self.trial.target
        assert target is not None
        self._pool = target.pool
        self._core = core
        self._plan = plan
        self._body = body
        self._began = perf_counter()
        self._connection: Connection | None = None
        self._reused = False
        self._answer: UpstreamAnswer | None = None
        self._reported = False
        self._wrote = False

    async def answer(self) -> UpstreamAnswer:
        """Return the answer once its head is there.

        Raises UpstreamError, and what reading ``body`` raises.
        """
        try:
            connection = self._connection = self._pool.idle() or await self._connect()
            self._reused = connection.reused
            self._answer = await self._send(connection)
        except UpstreamError as error:
            self._report_end(error.fault, sent=error.sent, reused=error.reused, answered=error.answered)
            raise
        except BaseException:
            self._report_end(None, sent=self._wrote)
            raise
        if self.trial is not None:
            self.trial.answered(self._answer.status)
        return self._answer

    def answered(self) -> UpstreamAnswer:
        """Return the answer again."""
        assert self._answer is not None
        return self._answer

    def failed(self, fault: Fault) -> None:
        """Take note that the answer did not become whole."""
        self._report_end(fault, sent=True, reused=self._reused, answered=True)

    async def aclose(self) -> None:
        """Free the connection; an answer that has not ended is given up."""
        self._report_end(None, sent=True, reused=self._reused, answered=True)
        if self._answer is not None:
            await self._answer.aclose()

    async def _connect(self) -> Connection:
        acquire = partial(self._pool.acquire, self._attempts.time_to_connect())
        try:
            connection = await (self._body.unless_cut(acquire) if isinstance(self._body, RequestBody) else acquire())
        finally:
            self._attempts.connecting += perf_counter() - self._began
        if self.trial is not None:
            self.trial.connected()
        return connection

    async def _send(self, connection: Connection) -> UpstreamAnswer:
        core, body, attempts = self._core, self._body, self._attempts
        request = core.to_send()
        try:
            own = attempts.lines(str(connection.target))
        except BaseException:
            self._pool.release(connection)
            raise
        self._wrote = True
        if attempts.private:
            connection.private = True
        replayable = not isinstance(body, RequestBody) or body.replayable
        timeouts = self._plan.timeouts
        seconds = attempts.time_to_answer(timeouts.first_byte, replayable=replayable)
        if seconds is not None and seconds != timeouts.first_byte:
            timeouts = replace(timeouts, first_byte=max(seconds, _LEAST))
        streams = body is not None and not isinstance(body, bytes)
        return await send(
            self._pool,
            connection,
            method=core.request.method,
            target=request.target,
            headers=request.lines,
            own=own,
            body=body,
            length=request.framing.length if streams else None,
            timeouts=timeouts,
            body_silence=self._plan.body_silence,
        )

    def _report_end(self, fault: Fault | None, *, sent: bool, reused: bool = False, answered: bool = False) -> None:
        if self._reported:
            return
        self._reported = True
        status = 0 if self._answer is None else self._answer.status
        trial = self.trial
        if trial is not None:
            if fault is None:
                trial.whole(status)
            else:
                trial.failed(fault, reused=reused and not answered)
            trial.end()
        if not self._core.hooks.attempt_ended:
            return
        target = "" if self._connection is None else str(self._connection.target)
        if trial is not None:
            target = trial.target.name
        seconds = perf_counter() - self._began
        self._attempts.ended(
            AttemptResult(target, fault, sent=sent, reused=reused, answered=answered, status=status, seconds=seconds)
        )
