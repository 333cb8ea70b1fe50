"""The attempts of one request under an ASGI server: one after the other, or two at once where the first is late.

``limen.pipeline.attempts`` decides. Each attempt of two runs in a task of its own; the first final head wins.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from limen.engines.asgi.attempt import Attempt
from limen.engines.asgi.body import RequestBody
from limen.errors import Fault
from limen.pipeline import steps
from limen.pipeline.attempts import NEVER, Attempts
from limen.pipeline.exchange import Exchange
from limen.pipeline.states import SENDING
from limen.runtime.plan import Plan
from limen.upstream.error import UpstreamError


async def answered_attempt(core: Exchange, body: bytes | RequestBody | None) -> Attempt | Fault | None:
    """Return the attempt whose answer is that of the exchange, or the fault of the last one.

    None is for an answer in whose place the exchange has one of its own. Raises what reading the body raises.
    """
    while True:
        ended = await _at_one_service(core, body)
        if core.state != SENDING:
            return None
        if ended is not None:
            return ended


async def _at_one_service(core: Exchange, body: bytes | RequestBody | None) -> Attempt | Fault | None:
    """Return the same as long as one service is asked; None where the fallback takes its place."""
    attempts, plan = core.to_send().started_attempts(), core.plan
    assert plan is not None
    if isinstance(body, RequestBody):
        attempts.streams = True
        body.keep_most = attempts.most_kept()
    try:
        return await _answered(core, plan, attempts, body)
    finally:
        attempts.give_up()


async def _answered(
    core: Exchange, plan: Plan, attempts: Attempts, body: bytes | RequestBody | None
) -> Attempt | Fault | None:
    while True:
        if isinstance(body, RequestBody):
            await body.gather(partial(steps.must_buffer_body, plan))
            if core.outcome.attempts:
                body.rewind()
        attempt, error = await _answer(core, plan, body)
        replayable = not isinstance(body, RequestBody) or body.replayable
        if error is not None:
            reused = error.reused and not error.answered
            pause = attempts.after_fault(error.fault, sent=error.sent, reused=reused, replayable=replayable)
            if pause == NEVER:
                again = core.fall_back(error.fault, sent=error.sent, replayable=replayable)
                return None if again else error.fault
        else:
            answer = attempt.answered()
            pause = NEVER if attempt.trial is None else attempts.after_status(answer.status, replayable=replayable)
            if pause == NEVER:
                if answer.status < 500 or not core.replaces(answer.status, answer.headers, replayable=replayable):
                    return attempt
                await attempt.aclose()
                return None
            await attempt.aclose()
        if pause:
            await asyncio.sleep(pause)


async def _answer(core: Exchange, plan: Plan, body: bytes | RequestBody | None) -> tuple[Attempt, UpstreamError | None]:
    """Return the attempt that was answered, or the last one and why it failed."""
    first = Attempt(core, plan, body)
    attempts = core.to_send().started_attempts()
    seconds = 0.0 if first.trial is None else attempts.hedge_after(first.trial)
    if seconds:
        return await _Race(core, plan, body, attempts).run(first, seconds)
    try:
        await first.answer()
    except UpstreamError as error:
        return first, error
    return first, None


class _Race:
    """A first attempt, and a second one once that is late; once one of them has failed, the other may be late again."""

    def __init__(self, core: Exchange, plan: Plan, body: bytes | RequestBody | None, attempts: Attempts) -> None:
        self._core = core
        self._plan = plan
        self._body = body
        self._attempts = attempts
        self._running: dict[asyncio.Task[object], Attempt] = {}

    async def run(self, first: Attempt, seconds: float) -> tuple[Attempt, UpstreamError | None]:
        self._start(first)
        try:
            while True:
                late = seconds if len(self._running) == 1 else None
                done, _ = await asyncio.wait(self._running, timeout=late, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    if self._attempts.may_hedge(replayable=self._may_be_copied()):
                        self._start(Attempt(self._core, self._plan, self._copy()))
                    continue
                for task in [one for one in self._running if one in done]:
                    attempt = self._running.pop(task)
                    ended = await self._ended(attempt, task)
                    if ended is not None:
                        await self._stop_for(ended[0])
                        return ended
        finally:
            await self._stop()

    def _start(self, attempt: Attempt) -> None:
        self._running[asyncio.create_task(attempt.answer())] = attempt

    def _may_be_copied(self) -> bool:
        return not isinstance(self._body, RequestBody) or self._body.kept_whole

    def _copy(self) -> bytes | AsyncIterator[bytes] | None:
        return self._body.copy() if isinstance(self._body, RequestBody) else self._body

    async def _ended(
        self, attempt: Attempt, task: "asyncio.Task[object]"
    ) -> tuple[Attempt, UpstreamError | None] | None:
        """Return the end of the race; None while there is another to wait for."""
        error = task.exception()
        if error is not None:
            if not isinstance(error, UpstreamError):
                raise error
            return None if self._running else (attempt, error)
        if self._running and self._attempts.is_failure(attempt.answered().status):
            await attempt.aclose()
            return None
        trial = attempt.trial
        for other in self._running.values():
            if trial is not None and other.trial is not None and other.trial.begun_at < trial.begun_at:
                other.trial.overtaken()
        return attempt, None

    async def _stop_for(self, winner: Attempt) -> None:
        """Stop the others. If the client leaves meanwhile, nobody gets ``winner``, so it is given up here."""
        try:
            await self._stop()
        except BaseException:
            await winner.aclose()
            raise

    async def _stop(self) -> None:
        """Cancel what still runs, and free its connection."""
        running, self._running = self._running, {}
        for task in running:
            task.cancel()
        try:
            if running:
                await asyncio.wait(running)
        finally:
            # Those that are cancelled tell their end themselves.
            for task, attempt in running.items():
                if task.done() and not task.cancelled() and task.exception() is None:
                    await attempt.aclose()  # it was answered at the same time
