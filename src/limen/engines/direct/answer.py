"""The answer to one request on the direct engine: it is the sink of the service's connection, and writes to the client.

1. ``head``, ``body``, ``flush``, ``end``   pass the answer on, or hold it, check it, let ``after`` change it
2. ``fault``             the request's side decides whether to try once more
3. ``pause``, ``resume``  the client reads too slowly
"""

from time import perf_counter

from limen import pipeline
from limen.contract.edited_answer import AnswerHook, EditedAnswer, HookResult
from limen.engines.direct.client import Client, Framing
from limen.engines.direct.ending import Ending
from limen.errors import Fault, Kind
from limen.fairness.body_memory import Bodies
from limen.http.headers import Headers
from limen.runtime.plan import Plan


class Answering(Ending):
    """A request that can be answered by a service."""

    __slots__ = (
        "_framing",
        "_held",
        "_held_bytes",
        "_hook",
        "_old",
        "_out",
        "_request_done",
        "_sent_at",
        "_status_of_held",
        "_streams",
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
    ) -> None:
        """``old`` is an HTTP/1.0 client, which does not understand chunks."""
        super().__init__(client, bodies, plan, method, path, request_id, keep_alive)
        self._old = old
        self._streams = False  # the request's body passes on as it comes
        self._request_done = False
        self._sent_at = 0.0  # when the service was asked
        self._framing: Framing | None = None
        self._out = b""  # a head that waits for the first content, to be written with it
        self._held: list[bytes] | None = None
        self._held_bytes = 0
        self._hook: AnswerHook | None = None  # what an answer that is held goes through
        self._status_of_held: tuple[int, Headers] = (0, [])

    # --- the sink ---

    def head(self, status: int, reason: bytes, headers: Headers) -> None:
        """Take the head of the answer."""
        try:
            self._head_of_answer(status, headers)
        except Exception:
            self._bug()  # raised on, the parser of the service's connection would take it for the service's mistake

    def _head_of_answer(self, status: int, headers: Headers) -> None:
        assert self._plan is not None
        plan = self._plan
        if plan.session_ended is not None:
            headers = plan.session_ended(headers)
        self._hook = pipeline.must_buffer_answer(plan, self._method, status)
        if self._hook is not None:
            fault = pipeline.readable(headers)
            if fault is not None:
                self._stop()
                self._refuse(fault)
                return
            self._held = []
            self._status_of_held = (status, headers)
            return
        if not self._request_done:
            self.keep_alive = self.keep_alive and not self._client.rest_is_long()
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
                self._finish()
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
        if self._out:
            # The answer has begun, whether or not what is wrong with it came in one read with its head.
            self._client.write(self._out)
            self._out = b""
        try:
            self._failed(fault, sent=True, reused=connection.reused and not connection.answering)
        except Exception:
            self._bug()

    def _stop(self) -> None:
        """Let go of the service, and of what it has answered so far."""
        super()._stop()
        self._held = None
        if not self._sent:
            self._framing = None

    def _failed(self, fault: Fault, *, sent: bool, reused: bool) -> None:
        """Try once more where that is safe, else tell the client: ``Sending`` knows how."""
        raise NotImplementedError  # nobody makes an object of this class alone

    # --- pace ---

    def pause(self) -> None:
        """The client reads too slowly: make the service wait, for as long as it takes."""
        if self._connection is not None and self._sent:
            self._connection.pause()
            self._timer.clear()

    def resume(self) -> None:
        """The client has caught up."""
        if self._connection is not None and self._sent:
            self._connection.resume()
            self._await_answer()

    def _await_answer(self) -> None:
        """Set the deadline of what comes next: the head, or more of the content, or more of the client's body."""
        assert self._plan is not None
        timeouts = self._plan.timeouts
        waits_for_head = not self._sent and self._held is None and not (self._streams and not self._request_done)
        seconds = timeouts.first_byte if waits_for_head else timeouts.idle
        if timeouts.total is not None:
            seconds = min(seconds, max(timeouts.total - (perf_counter() - self._sent_at), 0.0))
        self._timer.set(self, seconds)

    # --- an answer that is held ---

    def _finish(self) -> None:
        assert self._hook is not None
        assert self._held is not None
        made = self._hook(b"".join(self._held), self._outcome.principal)
        if isinstance(made, EditedAnswer | Fault):
            self._finished(made)
        else:
            self._timer.clear()
            self._ask(made, self._finished)

    def _finished(self, made: HookResult) -> None:
        if isinstance(made, Fault):
            self._refuse(made)
        else:
            status, headers = self._status_of_held
            self._reply(pipeline.replaced(status, headers, made, self._request_id))
