"""One request on the direct engine, from its plan to its outcome, in callbacks: it is the sink of its upstream connection
and what uvicorn takes for a cycle. The decisions are those of ``limen.pipeline``, in the same order.

1. ``begin``     admit the caller, check parameters, see what body is announced
2. ``on_body``   hold a declared body (bounded), or pass a streamed one on
3. ``_attempt``  a connection at once if one is idle, else from a task
4. ``_send``     write the head, and what has come of the body
5. ``head``, ``body``, ``flush``, ``end``   pass the answer on, or hold it, check it, let ``after`` change it
6. ``fault``     perhaps once more; else a problem, or a cut connection when the head is out
7. ``_complete`` settle, exactly once, and give the client's connection back to uvicorn
"""

import asyncio
import logging
from collections.abc import Awaitable
from time import perf_counter
from typing import ClassVar

from limen import pipeline
from limen.direct.client import CONTINUE, Client, Framing, whole
from limen.direct.shared import Silent
from limen.errors import Fault, Kind
from limen.http.headers import Head, Headers
from limen.http.replies import Reply, allowed, problem, redirect
from limen.observe.outcome import Outcome
from limen.runtime.plan import Finished, Plan
from limen.runtime.state import Runtime
from limen.runtime.table import Match, Redirect, Wrong
from limen.upstream import request
from limen.upstream.connection import Connection
from limen.upstream.error import UpstreamError

_log = logging.getLogger("limen.direct")

# Bytes of a streamed body that are held while there is no connection to pass them on.
_HIGH_WATER = 65536

Found = Match[Plan] | Redirect | Wrong | Fault


class Exchange:
    """One request. ``response_complete``, ``disconnected``, ``keep_alive`` and ``message_event`` are uvicorn's names."""

    __slots__ = (
        "_attempts",
        "_begun",
        "_client",
        "_connection",
        "_content",
        "_declared",
        "_expects",
        "_forwarded",
        "_found",
        "_framing",
        "_head",
        "_held",
        "_held_bytes",
        "_lines",
        "_method",
        "_old",
        "_origin",
        "_out",
        "_own",
        "_parts",
        "_path",
        "_plan",
        "_query",
        "_request_done",
        "_request_id",
        "_runtime",
        "_seen",
        "_sent",
        "_sent_at",
        "_started",
        "_status_of_held",
        "_streams",
        "_target",
        "_task",
        "_upstream_length",
        "disconnected",
        "keep_alive",
        "response_complete",
    )

    message_event: ClassVar[Silent] = Silent()

    def __init__(
        self,
        client: Client,
        runtime: Runtime,
        found: Found,
        *,
        method: bytes,
        path: bytes,
        query: bytes | None,
        head: Head,
        origin: bytes,
        keep_alive: bool,
        old: bool,
        expects: bool,
    ) -> None:
        """Keep what the head says; ``origin`` is what ``pipeline.origin`` says of it.

        ``query`` None is a target without a question mark. ``old`` is an HTTP/1.0 client, ``expects`` one that waits for
        100 (Continue).
        """
        self._started = perf_counter()
        self._client = client
        self._runtime = runtime
        self._found = found
        self._plan = found.plan if isinstance(found, Match) else None
        self._method = method
        self._path = path
        self._query = query
        self._head = head
        self._origin = origin
        self._own = b""
        self._old = old
        self._expects = expects
        self._request_id = pipeline.request_id(head, runtime.request_id)
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False
        self._begun = False
        self._request_done = False
        self._declared = False  # the body is held, checked and written anew
        self._streams = False  # the body passes on as it comes
        self._seen = 0
        self._parts: list[bytes] = []
        self._content: bytes | None = None
        self._upstream_length: int | None = None
        self._forwarded = False  # something of a streamed body has gone
        self._attempts = 0
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._target = b""
        self._lines: Headers = []
        self._framing: Framing | None = None
        self._out = b""  # a head that waits for the first content, to be written with it
        self._held: list[bytes] | None = None
        self._held_bytes = 0
        self._status_of_held: tuple[int, Headers] = (0, [])
        self._sent_at = 0.0
        self._sent = 0  # the status, once the answer has begun

    # --- what the client sends ---

    def begin(self) -> None:
        """Answer, or set out to; called when it is this request's turn."""
        self._begun = True
        if self.disconnected:
            return
        try:
            self._admit()
        except Exception:
            self._bug()

    def on_body(self, data: bytes) -> None:
        """Take a piece of the request body."""
        if self.response_complete:
            return  # an early answer has gone out: the rest is of no use to anybody
        self._seen += len(data)
        plan = self._plan
        if plan is None:
            return
        if plan.route.max_body is not None and self._seen > plan.route.max_body:
            self._stop()
            self._refuse(pipeline.too_large(plan))
            return
        if self._connection is not None and self._streams:
            self._pass_on(self._connection, data)
            return
        self._parts.append(data)
        if self._declared:
            self._client.timers.set(self, plan.timeouts.idle)
        elif self._seen > _HIGH_WATER:
            self._client.hold()

    def on_request_done(self) -> None:
        """Take note that the request is whole."""
        self._request_done = True
        if self.response_complete or not self._begun:
            return
        try:
            if self._declared:
                self._read_declared()
            elif self._streams and self._connection is not None:
                self._end_request(self._connection)
        except Exception:
            self._bug()

    def bad_body(self, fault: Fault) -> None:
        """What is left of the body cannot be read, or does not come: no part of it may look whole to anybody."""
        if not self.response_complete:
            self._stop()
            self.keep_alive = False
            self._conclude(fault)

    def client_gone(self) -> None:
        """The client closed its connection."""
        self.disconnected = True
        if not self.response_complete:
            self._stop()
            self.response_complete = True
            self._settle(Fault(Kind.CLIENT_CLOSED))

    def pause(self) -> None:
        """The client reads too slowly: make the service wait, for as long as it takes."""
        if self._connection is not None and self._sent:
            self._connection.pause()
            self._client.timers.clear(self)

    def resume(self) -> None:
        """The client has caught up."""
        if self._connection is not None and self._sent:
            self._connection.resume()
            self._await_answer()

    # --- steps ---

    def _admit(self) -> None:
        found = self._found
        if not isinstance(found, Match):
            self._answer_without_plan(found)
            return
        admitted = pipeline.admit(found.plan, self._head, found.params, self._request_id, self._runtime.now())
        if isinstance(admitted, bytes | Fault):
            self._admitted(found, admitted)
        else:
            self._task = self._client.loop.create_task(self._admit_later(found, admitted))

    async def _admit_later(self, found: Match[Plan], asked: Awaitable[bytes | Fault]) -> None:
        try:
            admitted = await asked
            self._task = None
            self._admitted(found, admitted)
            if self._declared:
                self._client.go_on()  # what has come of the body meanwhile may have stopped the reading
        except Exception:
            self._bug()

    def _admitted(self, found: Match[Plan], admitted: bytes | Fault) -> None:
        plan = found.plan
        if isinstance(admitted, Fault):
            self._refuse(admitted)
            return
        if (fault := pipeline.fits(plan, found.params, self._query or b"", self._head)) is not None:
            self._refuse(fault)
            return
        announced = pipeline.announced(plan, self._head)
        if isinstance(announced, Fault):
            self._refuse(announced)
            return
        self._own = pipeline.own(self._origin, self._request_id, admitted)
        self._target, self._lines = pipeline.craft(plan, found, self._method, self._query, self._head)
        self._upstream_length = announced.length
        if plan.route.contract.body is not None:
            self._declared = True
            if self._request_done or not announced.framed:
                self._read_declared()
            else:
                self._want_body()
                self._client.timers.set(self, plan.timeouts.idle)
            return
        self._streams = announced.framed
        self._attempt()

    def _answer_without_plan(self, found: Redirect | Wrong | Fault) -> None:
        if isinstance(found, Fault):
            self._refuse(found)
        elif isinstance(found, Redirect):
            location = found.path if self._query is None else found.path + b"?" + self._query
            self._reply(redirect(location, self._request_id))
        elif self._method == b"OPTIONS":
            self._reply(allowed(found.allow, self._request_id))
        else:
            self._refuse(Fault(Kind.METHOD_NOT_ALLOWED, headers=((b"allow", b", ".join(found.allow)),)))

    def _want_body(self) -> None:
        if self._expects and not self._request_done and not self._seen:
            self._client.write(CONTINUE)
        self._expects = False

    def _read_declared(self) -> None:
        assert self._plan is not None
        body = self._plan.route.contract.body
        assert body is not None
        content = pipeline.declared(body, b"".join(self._parts), self._head)
        self._declared = False
        self._client.timers.clear(self)
        self._parts.clear()
        if isinstance(content, Fault):
            self._refuse(content)
            return
        self._content = content
        self._attempt()

    def _attempt(self) -> None:
        assert self._plan is not None
        self._attempts += 1
        connection = self._plan.pool.idle()
        if connection is not None:
            self._send(connection)
        else:
            self._task = self._client.loop.create_task(self._acquire(self._plan))

    async def _acquire(self, plan: Plan) -> None:
        try:
            connection = await plan.pool.acquire(plan.timeouts.connect)
        except UpstreamError as error:
            self._task = None
            self._failed(error.fault, sent=False, reused=False)
            return
        self._task = None
        try:
            self._send(connection)
        except Exception:
            self._bug()

    def _send(self, connection: Connection) -> None:
        assert self._plan is not None
        self._connection = connection
        self._sent_at = perf_counter()
        content = self._content
        length = self._upstream_length if self._streams else None if content is None else len(content)
        framing = request.framing(self._method, streamed=self._streams, length=length)
        data = request.head(self._method, self._target, connection.target.authority, self._lines, self._own, framing)
        more = self._streams and not self._request_done
        if self._streams:
            # As the client framed it, and not as it happens to have come.
            data += b"".join(self._parts if length is not None else map(request.chunk, self._parts))
            if more:
                self._forwarded = bool(self._parts)
                self._parts = []
            elif length is None:
                data += request.LAST_CHUNK
        elif content:
            data += content
        connection.start(self, self._method, data, whole=not more)
        if self._connection is not connection:
            return  # it was lost already, and the fault has been dealt with
        if more:
            self._want_body()
            self._client.go_on()
        self._await_answer()

    def _pass_on(self, connection: Connection, data: bytes) -> None:
        connection.write(data if self._upstream_length is not None else request.chunk(data))
        self._forwarded = True
        blocked = connection.blocked()
        if blocked is not None:
            self._client.hold()
            blocked.add_done_callback(self._unblocked)
        self._await_answer()

    def _unblocked(self, future: "asyncio.Future[None]") -> None:
        if not self.response_complete:
            self._client.go_on()

    def _end_request(self, connection: Connection) -> None:
        if self._upstream_length is None:
            connection.write(request.LAST_CHUNK)
        connection.finish()
        self._await_answer()

    def _await_answer(self) -> None:
        """Set the deadline of what comes next: the head, or more of the content, or more of the client's body."""
        assert self._plan is not None
        timeouts = self._plan.timeouts
        waits_for_head = not self._sent and self._held is None and not (self._streams and not self._request_done)
        seconds = timeouts.first_byte if waits_for_head else timeouts.idle
        if timeouts.total is not None:
            seconds = min(seconds, max(timeouts.total - (perf_counter() - self._sent_at), 0.0))
        self._client.timers.set(self, seconds)

    # --- the sink ---

    def head(self, status: int, reason: bytes, headers: Headers) -> None:
        """Take the head of the answer."""
        assert self._plan is not None
        plan = self._plan
        if plan.ends is not None:
            headers = plan.ends(headers)
        if plan.finish is not None and pipeline.holds(self._method, status):
            fault = pipeline.readable(headers)
            if fault is not None:
                self._stop()
                self._refuse(fault)
                return
            self._held = []
            self._status_of_held = (status, headers)
            return
        self._framing = Framing()
        self._out, self.keep_alive = self._framing.head(
            status,
            pipeline.answered(plan, status, headers, self._request_id),
            self._client.defaults(),
            keep_alive=self.keep_alive,
            bodyless=self._method == b"HEAD" or status in (204, 304),
            chunks=not self._old,
        )
        self._sent = status

    def body(self, data: bytes) -> None:
        """Take a piece of the answer's content."""
        if self._held is not None:
            assert self._plan is not None
            self._held_bytes += len(data)
            most = self._plan.route.max_answer
            if self._held_bytes > most:
                self._stop()
                self._refuse(Fault(Kind.UPSTREAM_TOO_LARGE, cause=f"more than {most} bytes"))
            else:
                self._held.append(data)
            return
        if self._framing is None:
            return  # refused already
        data = self._framing.content(data)
        if self._out:
            data = self._out + data
            self._out = b""
        self._client.write(data)

    def flush(self) -> None:
        """Nothing more has come for now."""
        if self._out:
            self._client.write(self._out)
            self._out = b""
        if self._connection is not None:
            if self._sent and self._client.stalled():
                self.pause()
            else:
                self._await_answer()

    def end(self) -> None:
        """The answer is whole."""
        connection, self._connection = self._connection, None
        assert self._plan is not None
        if connection is not None:
            self._plan.pool.release(connection)
        if self._held is not None:
            try:
                self._finish(self._plan)
            except Exception:
                self._bug()
            return
        if self._framing is None:
            return  # refused already
        last = self._framing.last()
        if self._out or last:
            self._client.write(self._out + last)
            self._out = b""
        self._complete(None)

    def fault(self, fault: Fault) -> None:
        """The answer will not become whole."""
        connection, self._connection = self._connection, None
        if connection is None or self.response_complete:
            return
        assert self._plan is not None
        self._plan.pool.release(connection)
        self._failed(fault, sent=True, reused=connection.reused and not connection.answering)

    # --- the end ---

    def expired(self) -> None:
        """Somebody took too long."""
        if self.response_complete:
            return
        connection = self._connection
        if not self._sent and not self._request_done and (self._declared or self._streams):
            if connection is None or connection.blocked() is None:
                self._stop()
                self.keep_alive = False  # what is left of the body may still come
                self._conclude(Fault(Kind.REQUEST_TIMEOUT))
                return
            cause = "the service stopped reading the request"
        else:
            cause = "silence" if self._sent else "no answer"
        self._stop()
        self._conclude(Fault(Kind.ANSWER_TIMEOUT, cause=cause))

    def _finish(self, plan: Plan) -> None:
        assert plan.finish is not None
        assert self._held is not None
        made = plan.finish(b"".join(self._held))
        if isinstance(made, bytes | Fault):
            self._finished(made)
        else:
            self._client.timers.clear(self)
            self._task = self._client.loop.create_task(self._finish_later(made))

    async def _finish_later(self, made: Awaitable[Finished]) -> None:
        finished = await made
        self._task = None
        self._finished(finished)

    def _finished(self, made: Finished) -> None:
        if isinstance(made, Fault):
            self._refuse(made)
        else:
            status, headers = self._status_of_held
            self._reply(pipeline.replaced(status, headers, made, self._request_id))

    def _failed(self, fault: Fault, *, sent: bool, reused: bool) -> None:
        """Try once more where that is safe, else tell the client."""
        if not self._sent and pipeline.again(
            fault,
            sent=sent,
            reused=reused,
            method=self._method,
            replayable=not self._forwarded,
            attempts=self._attempts,
        ):
            self._client.timers.clear(self)
            self._attempt()
            return
        self._conclude(fault)

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
        head = self._method == b"HEAD"
        self._client.write(whole(reply, self._client.defaults(), keep_alive=self.keep_alive, bodyless=head))
        self._complete(fault)

    def _bug(self) -> None:
        """Our own mistake: it goes to the log, and the client learns that there was one."""
        _log.exception("%s %s failed", self._method.decode(), self._path.decode("ascii", "backslashreplace"))
        if not self.response_complete:
            self._stop()
            self._conclude(Fault(Kind.INTERNAL_ERROR))

    def _stop(self) -> None:
        """Let go of the service and of whatever is under way."""
        self._client.timers.clear(self)
        connection, self._connection = self._connection, None
        if connection is not None:
            assert self._plan is not None
            connection.abort()
            self._plan.pool.release(connection)
        self._held = None
        self._framing = None if not self._sent else self._framing
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def _complete(self, fault: Fault | None, *, cut: bool = False) -> None:
        self.response_complete = True
        self._client.timers.clear(self)
        self._parts.clear()
        self._settle(fault)
        self._client.completed(close=cut or not self.keep_alive)

    def _settle(self, fault: Fault | None) -> None:
        plan = self._plan
        gone = fault is not None and fault.kind is Kind.CLIENT_CLOSED
        pipeline.settle(
            Outcome(
                method=self._method,
                path=self._path,
                route=plan.route.path if plan else "-",
                upstream=plan.route.upstream.name if plan else "-",
                status=499 if gone else self._sent,
                seconds=perf_counter() - self._started,
                request_id=self._request_id,
                code=fault.kind.code if fault else "",
                cause=fault.cause if fault else "",
            )
        )

    def __repr__(self) -> str:
        """Show how far it is."""
        state = "complete" if self.response_complete else "answering" if self._sent else "waiting"
        return f"<Exchange {self._method.decode()} {self._path.decode('ascii', 'backslashreplace')} {state}>"
