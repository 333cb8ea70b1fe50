"""One request on the direct engine, from its plan on, in callbacks: it is what uvicorn takes for a cycle.

The decisions are those of ``limen.pipeline``, in the same order. An exchange is four classes, each upon the next, so that
one file has one reason to change; all of them are the one object that a request costs.

``Exchange``                    here: who is calling, may they, and what comes from the client
``Sending`` (``sending.py``)    a connection to the service, and the request on it
``Answering`` (``answer.py``)   what the service answers, for the client
``Ending`` (``ending.py``)      every way to end, and to settle exactly once
"""

from functools import partial
from typing import ClassVar

from limen import pipeline
from limen.engines.direct.client import Client
from limen.engines.direct.sending import Sending
from limen.engines.direct.shared import NoopEvent
from limen.errors import AGAIN, Fault, Kind
from limen.http.headers import Head
from limen.http.replies import allowed, redirect
from limen.routing.table import Match, MethodNotAllowed, Redirect
from limen.runtime.plan import Plan
from limen.runtime.state import Runtime

Found = Match[Plan] | Redirect | MethodNotAllowed | Fault


class Exchange(Sending):
    """One request. ``response_complete``, ``disconnected``, ``keep_alive`` and ``message_event`` are uvicorn's names."""

    __slots__ = (
        "_begun",
        "_declared",
        "_found",
        "_head",
        "_in_turn",
        "_origin",
        "_query",
        "_refusal",
        "_runtime",
        "disconnected",
    )

    message_event: ClassVar[NoopEvent] = NoopEvent()

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
        plan = found.plan if isinstance(found, Match) else None
        request_id = pipeline.request_id(head, runtime.request_id)
        super().__init__(client, runtime.bodies, plan, method, path, request_id, keep_alive, old, expects)
        self._runtime = runtime
        self._found = found
        self._query = query
        self._head = head
        self._origin = origin
        self._begun = False  # it is known who calls, and that they may
        self._in_turn = False  # the requests before it are answered
        self._refusal: Fault | None = None  # what it is answered with in its turn
        self._declared = False  # the body is held, and checked
        self.disconnected = False

    # --- what the client sends ---

    def begin(self) -> None:
        """Answer, or set out to; called when it is this request's turn, or soon after: then it may have ended since."""
        if self.response_complete:
            return
        self._in_turn = True
        if self._refusal is not None:
            self._conclude(self._refusal)
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
        if plan is None or self._refusal is not None:
            return
        if self._too_long(plan):
            if self._begun:
                self._stop()
                self._refuse(pipeline.too_large(plan))
            else:
                self._client.hold()  # it is refused in its turn, and only if it is not refused for who is calling
            return
        if self._connection is not None and self._streams:
            self._pass_on(self._connection, data)
            return
        self._parts.append(data)
        self._holds = True
        self._bodies.add(self, len(data))
        if self.response_complete or self._refusal is not None:
            return  # it was this one that had to give way
        if self._declared:
            self._timer.set(self, plan.timeouts.idle)
            return
        if self._waits:
            try:
                self._attempt()
            except Exception:
                self._bug()
        if self._connection is None and self._seen > pipeline.MOST_HELD and not self.response_complete:
            self._client.hold()

    def on_request_done(self) -> None:
        """Take note that the request is whole."""
        self._request_done = True
        if self.response_complete or not self._begun:
            return
        try:
            if self._declared:
                self._read_declared()
            elif self._waits:
                self._attempt()
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

    def cut(self) -> None:
        """Give the body up: the worker holds too much, and this one much for long."""
        self._holds = False
        self._parts.clear()
        if self.response_complete:
            return
        self.keep_alive = False  # the rest of the body is of no use
        fault = Fault(Kind.BODIES_FULL, headers=AGAIN)
        if self._in_turn:
            self._stop()
            self._conclude(fault)
        else:
            self._refusal = fault

    def forget(self) -> None:
        """Hold nothing more: another answer takes the place of this request's in the line, and in the log."""
        self.response_complete = True
        self._release()

    def client_gone(self, fault: Fault) -> None:
        """The connection has ended: the client closed it, or ``fault`` says why it was cut."""
        self.disconnected = True
        if not self.response_complete:
            self._stop()
            self.response_complete = True
            self._settle(fault, cut=self._sent > 0 and fault.kind is not Kind.CLIENT_CLOSED)

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

    # --- who is calling, and what for ---

    def _admit(self) -> None:
        found = self._found
        if not isinstance(found, Match):
            self._answer_without_plan(found)
            return
        now = self._runtime.now()
        admitted = pipeline.admit(found.plan, self._head, found.params, self._outcome, now, self._origin)
        if isinstance(admitted, bytes | Fault):
            self._admitted(found, admitted)
        else:
            self._ask(admitted, partial(self._admitted_late, found))

    def _admitted_late(self, found: Match[Plan], admitted: bytes | Fault) -> None:
        self._admitted(found, admitted)
        if self._declared:
            self._client.go_on()  # what has come of the body meanwhile may have stopped the reading

    def _admitted(self, found: Match[Plan], admitted: bytes | Fault) -> None:
        self._begun = True
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
        if self._too_long(plan):
            self._refuse(pipeline.too_large(plan))
            return
        self._own = pipeline.gateway_lines(self._origin, self._request_id, admitted)
        self._target, self._lines = pipeline.build_upstream_head(plan, found, self._method, self._query, self._head)
        self._upstream_length = announced.length
        if plan.route.contract.body is not None:
            self._declared = True
            if self._request_done or not announced.framed:
                self._read_declared()
            else:
                self._want_body()
                self._timer.set(self, plan.timeouts.idle)
            return
        self._streams = announced.framed
        self._attempt()

    def _too_long(self, plan: Plan) -> bool:
        """Tell whether more of the body has come than its route allows."""
        most = plan.route.max_body
        return most is not None and self._seen > most

    def _answer_without_plan(self, found: Redirect | MethodNotAllowed | Fault) -> None:
        if isinstance(found, Fault):
            self._refuse(found)
        elif isinstance(found, Redirect):
            location = found.path if self._query is None else found.path + b"?" + self._query
            self._reply(redirect(location, self._request_id))
        elif self._method == b"OPTIONS":
            self._reply(allowed(found.allow, self._request_id))
        else:
            self._refuse(Fault(Kind.METHOD_NOT_ALLOWED, headers=((b"allow", b", ".join(found.allow)),)))

    def _read_declared(self) -> None:
        assert self._plan is not None
        body = self._plan.route.contract.body
        assert body is not None
        content = pipeline.declared(self._plan, body, self._runtime.validations, b"".join(self._parts), self._head)
        self._declared = False
        self._timer.clear()
        self._parts.clear()  # what was made of them counts until it is checked
        if content is None or isinstance(content, bytes | Fault):
            self._checked(content)
        else:
            self._ask(content, self._checked)

    def _checked(self, content: bytes | Fault | None) -> None:
        self._uncount()
        if isinstance(content, Fault):
            self._refuse(content)
            return
        self._content = content
        self._lines = pipeline.pruned(self._lines, content, self._seen)
        self._attempt()
