"""The request to the service on the direct engine: a connection for it, its head, and its body as it comes.

1. ``_attempt``  a connection at once if one is idle, else from a task; while they are scarce, more of the body first
2. ``_send``     write the head, and what has come of the body
3. ``_pass_on``, ``_end_request``   write the rest of a body that streams
4. ``_failed``   perhaps once more
"""

import asyncio
from time import perf_counter

from limen import pipeline
from limen.engines.direct.answer import Answering
from limen.engines.direct.client import CONTINUE, Client
from limen.errors import Fault
from limen.fairness.body_memory import Bodies
from limen.http.headers import Headers
from limen.runtime.plan import Plan
from limen.upstream import request
from limen.upstream.connection import Connection
from limen.upstream.error import UpstreamError


class Sending(Answering):
    """A request that can be sent to a service, as soon as it is known what to send."""

    __slots__ = (
        "_attempts",
        "_connecting",
        "_content",
        "_expects",
        "_forwarded",
        "_lines",
        "_own",
        "_seen",
        "_target",
        "_upstream_length",
        "_waits",
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
        old: bool,
        expects: bool,
    ) -> None:
        """``expects`` is a client that waits for 100 (Continue)."""
        super().__init__(client, bodies, plan, method, path, request_id, keep_alive, old)
        self._expects = expects
        self._target = b""
        self._lines: Headers = []
        self._own = b""
        self._content: bytes | None = None  # a body that is written whole
        self._upstream_length: int | None = None
        self._seen: int = 0  # bytes of the body that have come
        self._waits = False  # for more of the body, before it may have a connection
        self._forwarded = False  # something of a streamed body has gone
        self._attempts = 0
        self._connecting = 0.0  # seconds that getting a connection has taken, all attempts together

    def _attempt(self) -> None:
        plan = self._plan
        assert plan is not None
        if self._streams and self._must_wait(plan):
            return
        connection = plan.pool.idle()
        if connection is not None:
            self._attempts += 1
            self._send(connection)
        else:
            self._task = self._client.loop.create_task(self._acquire(plan))

    def _must_wait(self, plan: Plan) -> bool:
        """Tell whether more of the body has to come first. Each piece of it asks again, and so does its end."""
        waits = not self._request_done and pipeline.must_buffer_body(plan, self._seen)
        if waits:
            self._want_body()
            self._timer.set(self, plan.timeouts.idle)
        elif self._waits:
            self._timer.clear()
        self._waits = waits
        return waits

    def _want_body(self) -> None:
        if self._expects and not self._request_done and not self._seen:
            self._client.write(CONTINUE)
        self._expects = False

    async def _acquire(self, plan: Plan) -> None:
        if self._streams and self._must_wait(plan):
            self._task = None  # those before it in this turn of the loop have taken what there was
            return
        self._attempts += 1
        began = perf_counter()
        try:
            try:
                connection = await plan.pool.acquire(max(0.0, plan.timeouts.connect - self._connecting))
            except UpstreamError as error:
                self._connecting += perf_counter() - began
                self._task = None
                self._failed(error.fault, sent=False, reused=False)
                return
            self._task = None
            self._send(connection)
        except Exception:
            self._task = None
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
                self._parts.clear()
            elif length is None:
                data += request.LAST_CHUNK
            self._uncount()
        elif content:
            data += content
        connection.start(self, self._method, data, whole=not more)
        if self._connection is not connection:
            return  # it was lost already, and the fault has been dealt with
        if more:
            self._want_body()
            self._client.go_on()
        self._await_answer()

    # --- a body that streams ---

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

    # --- another attempt ---

    def _failed(self, fault: Fault, *, sent: bool, reused: bool) -> None:
        """Try once more where that is safe, else tell the client."""
        if not self._sent and pipeline.may_retry(
            fault,
            sent=sent,
            reused=reused,
            method=self._method,
            replayable=not self._forwarded,
            attempts=self._attempts,
        ):
            self._timer.clear()
            self._attempt()
            return
        self._conclude(fault)
