"""The end of one request on the direct engine: what it must know to end at any point, and the ways in which it does.

1. ``_stop``      let go of the service, and of whatever is under way
2. ``_conclude``  a problem; a cut connection where the head is out, for the answer must not look whole
3. ``_complete``  settle, exactly once, and give the client's connection back to uvicorn
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from limen import pipeline
from limen.engines.direct.client import Client, whole
from limen.errors import Fault, Kind
from limen.exchange.outcome import Outcome
from limen.fairness.body_memory import Bodies
from limen.http.replies import Reply, problem
from limen.observe.access import shown
from limen.observe.traces import logger
from limen.runtime.plan import Plan
from limen.upstream.connection import Connection

_log = logger("limen.direct")

T = TypeVar("T")


class Ending:
    """A request that can end."""

    __slots__ = (
        "_asked",
        "_bodies",
        "_client",
        "_connection",
        "_holds",
        "_method",
        "_outcome",
        "_parts",
        "_path",
        "_plan",
        "_request_id",
        "_sent",
        "_started",
        "_task",
        "_timer",
        "cut_by",
        "keep_alive",
        "response_complete",
    )

    def __init__(
        self,
        client: Client,
        bodies: Bodies,
        plan: Plan | None,
        method: bytes,
        path: bytes,
        request_id: str,
        keep_alive: bool,
    ) -> None:
        """``plan`` is None where no route serves the request; ``bodies`` are those that the worker holds."""
        self._started = perf_counter()
        self._client = client
        self._bodies = bodies
        self._holds = False  # is counted among them
        self._timer = client.timer
        self._plan = plan
        self._method = method
        self._path = path
        self._request_id = request_id
        self._outcome = Outcome(method, path, request_id, client.peer)
        self.keep_alive = keep_alive
        self.cut_by: Fault | None = None  # what ended it before its answer was whole
        self.response_complete = False
        self._parts: list[bytes] = []  # of the request's body, as long as they are held
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None  # our own, on the way to a connection
        self._asked: asyncio.Future[Any] | None = None  # somebody else's: an identity provider's, or a hook
        self._sent = 0  # the status, once the answer has begun

    def expired(self) -> None:
        """Somebody took too long: ``Exchange`` knows who, and what follows."""
        raise NotImplementedError  # nobody makes an object of this class alone

    def _ask(self, asked: Awaitable[T], then: Callable[[T], None]) -> None:
        """Go on with ``then`` when somebody else has the answer, unless the request has ended by then."""
        self._asked = task = asyncio.ensure_future(asked, loop=self._client.loop)
        task.add_done_callback(partial(self._told, then))

    def _told(self, then: Callable[[T], None], task: asyncio.Future[T]) -> None:
        if task is not self._asked or task.cancelled():
            return
        self._asked = None
        try:
            then(task.result())
        except Exception:
            self._bug()

    def _bug(self) -> None:
        """Our own mistake: it goes to the log, and the client learns that there was one."""
        _log.exception("%s %s failed", *shown(self._outcome))
        if not self.response_complete:
            self._stop()
            self._conclude(Fault(Kind.INTERNAL_ERROR))

    def _stop(self) -> None:
        """Let go of the service and of whatever is under way."""
        self._timer.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            assert self._plan is not None
            connection.abort()
            self._plan.pool.release(connection)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        asked, self._asked = self._asked, None
        if asked is not None:
            # Not at once: it may not have begun, and what it would have awaited would never be awaited.
            self._client.loop.call_soon(asked.cancel)

    def _conclude(self, fault: Fault) -> None:
        if self._sent:
            # The head is out: what the client gets must not look whole.
            self._complete(fault, cut=True)
        else:
            self._refuse(fault)

    def _refuse(self, fault: Fault) -> None:
        self._reply(problem(fault, self._request_id), fault)

    def _reply(self, reply: Reply, fault: Fault | None = None) -> None:
        self._sent = reply.status
        self.keep_alive = self.keep_alive and not self._client.rest_is_long()
        head = self._method == b"HEAD"
        self._client.write(whole(reply, self._client.defaults(), keep_alive=self.keep_alive, bodyless=head))
        self._complete(fault)

    def _complete(self, fault: Fault | None, *, cut: bool = False) -> None:
        self.response_complete = True
        if cut:
            self.cut_by = fault
        self._timer.clear()
        self._settle(fault, cut=cut)
        self.keep_alive = self.keep_alive and not cut
        self._client.completed(close=not self.keep_alive)

    def _release(self) -> None:
        """Hold nothing more of the request's body."""
        self._parts.clear()
        self._uncount()

    def _uncount(self) -> None:
        """Count no longer as a holder: what is still held is on its way."""
        if self._holds:
            self._holds = False
            self._bodies.drop(self)

    def cut(self) -> None:
        """The worker holds too much: ``Exchange`` knows how to give its part up."""
        raise NotImplementedError  # nobody makes an object of this class alone

    def _settle(self, fault: Fault | None, *, cut: bool = False) -> None:
        self._release()
        plan, outcome = self._plan, self._outcome
        if plan is not None:
            outcome.route = plan.route.path
            outcome.upstream = plan.route.upstream.name
        outcome.status = self._sent
        outcome.cut = cut
        if fault is not None:
            outcome.code = fault.kind.code
            outcome.cause = fault.cause
            if fault.kind is Kind.CLIENT_CLOSED or not self._sent:
                outcome.status = fault.kind.status
        outcome.seconds = perf_counter() - self._started
        pipeline.settle(outcome)

    def __repr__(self) -> str:
        """Show how far it is."""
        state = "complete" if self.response_complete else "answering" if self._sent else "waiting"
        return f"<Exchange {self._method.decode()} {self._path.decode('ascii', 'backslashreplace')} {state}>"
