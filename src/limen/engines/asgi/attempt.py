"""One try at one target under an ASGI server: a connection, the request on it, and the answer by iteration.

How it ended is told once, as an ``AttemptResult``, whether it was answered, failed or given up. Another attempt is another
object.
"""

from functools import partial
from time import perf_counter

from limen.engines.asgi.body import RequestBody
from limen.errors import Fault
from limen.exchange.attempt import AttemptResult
from limen.pipeline.exchange import Exchange
from limen.runtime.plan import Plan
from limen.upstream.connection import Connection
from limen.upstream.error import UpstreamError
from limen.upstream.request_sender import UpstreamAnswer, send


class Attempt:
    """One attempt; ``answer`` begins it."""

    __slots__ = ("_answer", "_began", "_body", "_connection", "_core", "_plan", "_reported", "_reused", "_wrote")

    def __init__(self, core: Exchange, plan: Plan, body: bytes | RequestBody | None) -> None:
        """Nothing is asked of anybody yet."""
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
            connection = self._connection = self._plan.pool.idle() or await self._connect()
            self._core.outcome.target, self._core.outcome.attempts = connection.target.url, self._core.attempts
            self._reused = connection.reused
            self._answer = await self._send(connection)
        except UpstreamError as error:
            self._report_end(error.fault, sent=error.sent, reused=error.reused, answered=error.answered)
            raise
        except BaseException:
            self._report_end(None, sent=self._wrote)
            raise
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
        acquire = partial(self._plan.pool.acquire, self._core.time_to_connect())
        try:
            return await (self._body.unless_cut(acquire) if isinstance(self._body, RequestBody) else acquire())
        finally:
            self._core.connecting += perf_counter() - self._began

    async def _send(self, connection: Connection) -> UpstreamAnswer:
        core, body = self._core, self._body
        framing = core.framing
        try:
            own = core.attempt_lines(str(connection.target))
        except BaseException:
            self._plan.pool.release(connection)
            raise
        self._wrote = True
        return await send(
            self._plan.pool,
            connection,
            method=core.request.method,
            target=core.target,
            headers=core.lines,
            own=own,
            body=body,
            length=framing.length if framing is not None and isinstance(body, RequestBody) else None,
            timeouts=self._plan.timeouts,
            body_silence=self._plan.body_silence,
        )

    def _report_end(self, fault: Fault | None, *, sent: bool, reused: bool = False, answered: bool = False) -> None:
        if self._reported or not self._core.hooks.attempt_ended:
            return
        self._reported = True
        target = "" if self._connection is None else str(self._connection.target)
        status = 0 if self._answer is None else self._answer.status
        seconds = perf_counter() - self._began
        self._core.attempt_ended(
            AttemptResult(target, fault, sent=sent, reused=reused, answered=answered, status=status, seconds=seconds)
        )
