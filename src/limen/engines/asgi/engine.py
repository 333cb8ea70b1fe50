"""The reference engine: serves every route under any ASGI server, innermost of the application's middleware.

One request, in the steps of ``limen.pipeline``:

1. find the plan; paths that no route knows go on to FastAPI's own router
2. admit the caller
3. check parameters, read and check a declared body (bounded); other bodies stream
4. craft the head
5. attempt, perhaps once more
6. pass the answer on (or hold it, check it, let ``after`` change it)
7. say what it came to; ``limen.engines.asgi.record``, which stands before it, settles
"""

from functools import partial
from time import perf_counter
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

from limen import pipeline
from limen.contract.edited_answer import EditedAnswer
from limen.engines.asgi import record as asgi_log
from limen.engines.asgi.body import BodyCut, BodyLost, BodyTimeout, BodyTooLarge, ClientGone, RequestBody, Watch
from limen.engines.asgi.local_body import LocalBody
from limen.engines.asgi.refusal import LOST, Refusing, framed, may_be_lost
from limen.errors import AGAIN, Fault, Kind
from limen.exchange.outcome import Outcome
from limen.http.headers import Head, Headers
from limen.http.replies import Reply, allowed, problem, redirect
from limen.observe.access import shown
from limen.observe.traces import logger
from limen.pipeline import BodyFraming
from limen.routing.table import Match, MethodNotAllowed, Redirect
from limen.runtime.host import EngineHost
from limen.runtime.plan import Plan
from limen.runtime.state import Runtime
from limen.upstream.error import UpstreamError
from limen.upstream.request_sender import Answer, send

_log = logger("limen.asgi")


class Engine:
    """ASGI middleware that answers gateway routes and hands everything else on."""

    def __init__(self, app: ASGIApp, door: EngineHost) -> None:
        """Stand before ``app`` and behind ``door``."""
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        live = self._door.live()
        path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        found = pipeline.route(live.table, scope["method"].encode(), path, scope["query_string"])
        if found is None:
            await self._local(live.runtime, scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            found = pipeline.final(live.table, found, path, Head(list(scope["headers"])))
        # None is there where middleware has made a scope of its own: then what stands before this knows nothing of the route.
        outcome = scope.get(asgi_log.OUTCOME) or asgi_log.begun(scope, live.runtime.request_id)
        await _Exchange(live.runtime, scope, outcome, receive, send).run(found)

    async def _local(self, runtime: Runtime, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request that no route knows on; what is read of its body counts among what the worker holds."""
        if not framed(scope):
            await self._app(scope, receive, send)
            return
        outcome = scope.get(asgi_log.OUTCOME) or asgi_log.begun(scope, runtime.request_id)
        body = LocalBody(scope, receive, send, runtime.bodies, outcome)
        try:
            await self._app(scope, body.receive, body.send)
        finally:
            body.release()


class _Exchange:
    """One request, from its plan to its outcome."""

    __slots__ = (
        "_body",
        "_head",
        "_method",
        "_outcome",
        "_query",
        "_receive",
        "_request_id",
        "_runtime",
        "_scope",
        "_send",
        "_sent",
    )

    def __init__(self, runtime: Runtime, scope: Scope, outcome: Outcome, receive: Receive, send: Send) -> None:
        self._runtime = runtime
        self._scope = scope
        self._outcome = outcome
        self._receive = receive
        self._send = send
        self._method: bytes = scope["method"].encode()
        # None is a target without a question mark; what the server does not tell is taken for that.
        query: bytes = scope["query_string"]
        self._query = query if query or pipeline.EMPTY_QUERY in (scope.get("extensions") or ()) else None
        self._head = Head(list(scope["headers"]))
        self._request_id = outcome.request_id
        self._body: RequestBody | None = None
        self._sent = 0  # the status, once the answer has begun

    async def run(self, found: Match[Plan] | Redirect | MethodNotAllowed | Fault) -> None:
        outcome = self._outcome
        if isinstance(found, Match):
            outcome.route, outcome.upstream = found.plan.route.path, found.plan.route.upstream.name
        try:
            fault = await self._end(found)
        except ClientGone:
            fault = Fault(Kind.CLIENT_CLOSED)
        if fault is not None:
            outcome.code, outcome.cause = fault.kind.code, fault.cause

    async def _end(self, found: Match[Plan] | Redirect | MethodNotAllowed | Fault) -> Fault | None:
        """Answer; return the fault if that is what it ends with, whatever raises but for a client that leaves."""
        try:
            fault = await self._answer(found)
        except ClientGone:
            raise
        except Exception:
            _log.exception("%s %s failed", *shown(self._outcome))
            fault = Fault(Kind.INTERNAL_ERROR)
        if fault is not None and not self._sent:
            await self._refuse(fault)
        return fault

    async def _answer(self, found: Match[Plan] | Redirect | MethodNotAllowed | Fault) -> Fault | None:
        match found:
            case Match():
                return await self._proxy(found)
            case Fault():
                return found
            case Redirect():
                location = found.path if self._query is None else found.path + b"?" + self._query
                await self._reply(redirect(location, self._request_id))
            case MethodNotAllowed():
                if self._method != b"OPTIONS":
                    allow = b", ".join(found.allow)
                    return Fault(Kind.METHOD_NOT_ALLOWED, headers=((b"allow", allow),))
                await self._reply(allowed(found.allow, self._request_id))
        return None

    async def _proxy(self, match: Match[Plan]) -> Fault | None:
        plan = match.plan
        peer, trust, scheme = self._outcome.peer, self._runtime.trust, self._scope["scheme"].encode()
        origin = pipeline.origin(trust, self._head, peer=peer, trusted=trust.covers(peer), scheme=scheme)
        admitted = pipeline.admit(plan, self._head, match.params, self._outcome, self._runtime.now(), origin)
        if not isinstance(admitted, bytes | Fault):
            admitted = await admitted
        if isinstance(admitted, Fault):
            return admitted
        if (fault := pipeline.fits(plan, match.params, self._query or b"", self._head)) is not None:
            return fault
        announced = pipeline.announced(plan, self._head)
        if isinstance(announced, Fault):
            return announced
        try:
            body = await self._request_body(plan, announced)
            if isinstance(body, Fault):
                return body
            own = pipeline.gateway_lines(origin, self._request_id, admitted)
            target, lines = pipeline.build_upstream_head(plan, match, self._method, self._query, self._head)
            if isinstance(body, bytes) and self._body is not None:
                lines = pipeline.pruned(lines, body, self._body.seen)
            with Watch(self._receive, self._body):
                return await self._exchange(plan, target, lines, own, body)
        except BodyTooLarge:
            return pipeline.too_large(plan)
        except BodyTimeout:
            # What is left of the body may still come: the connection cannot be used again.
            return Fault(Kind.REQUEST_TIMEOUT, headers=((b"connection", b"close"),))
        except BodyLost:
            return LOST
        except BodyCut:
            return Fault(Kind.BODIES_FULL, headers=(*AGAIN, (b"connection", b"close")))
        finally:
            if self._body is not None:
                self._body.release()

    async def _request_body(self, plan: Plan, announced: BodyFraming) -> bytes | RequestBody | Fault | None:
        limit = plan.route.max_body
        patience = plan.timeouts.idle
        lossy = may_be_lost(self._scope)
        self._body = stream = RequestBody(
            self._receive,
            announced.length,
            limit,
            patience=patience,
            empty=not announced.framed,
            bodies=self._runtime.bodies,
            lossy=lossy,
        )
        if plan.route.contract.body is None:
            if lossy:
                await stream.gather(lambda seen: not seen)  # before a service is asked
            return stream if announced.framed else None
        body = plan.route.contract.body
        try:
            content = pipeline.declared(plan, body, self._runtime.validations, await stream.read(), self._head)
            if content is None or isinstance(content, bytes | Fault):
                return content
            with Watch(self._receive, stream):
                return await stream.unless_cut(lambda: content)
        finally:
            stream.release()

    async def _exchange(
        self, plan: Plan, target: bytes, lines: Headers, own: bytes, body: bytes | RequestBody | None
    ) -> Fault | None:
        answer = await self._attempt(plan, target, lines, own, body)
        if isinstance(answer, Fault):
            return answer
        try:
            return await self._pass_on(plan, answer)
        except UpstreamError as error:
            # The head may be out: then leaving the answer unfinished makes the server cut the connection, and the
            # client cannot take it for whole.
            return error.fault
        finally:
            await answer.aclose()

    async def _attempt(
        self, plan: Plan, target: bytes, lines: Headers, own: bytes, body: bytes | RequestBody | None
    ) -> Answer | Fault:
        attempts = 0
        connecting = 0.0  # seconds that getting a connection has taken, all attempts together
        length = body.length if isinstance(body, RequestBody) else None
        while True:
            attempts += 1
            if isinstance(body, RequestBody):
                await body.gather(partial(pipeline.must_buffer_body, plan))
            try:
                connection = plan.pool.idle()
                if connection is None:
                    began = perf_counter()
                    acquire = partial(plan.pool.acquire, max(0.0, plan.timeouts.connect - connecting))
                    try:
                        connection = await (body.unless_cut(acquire) if isinstance(body, RequestBody) else acquire())
                    finally:
                        connecting += perf_counter() - began
                return await send(
                    plan.pool,
                    connection,
                    method=self._method,
                    target=target,
                    headers=lines,
                    own=own,
                    body=body,
                    length=length,
                    timeouts=plan.timeouts,
                )
            except UpstreamError as error:
                whole = not isinstance(body, RequestBody) or body.untouched
                if not pipeline.may_retry(
                    error.fault,
                    sent=error.sent,
                    reused=error.reused and not error.answered,
                    method=self._method,
                    replayable=whole,
                    attempts=attempts,
                ):
                    return error.fault

    async def _pass_on(self, plan: Plan, answer: Answer) -> Fault | None:
        if plan.session_ended is not None:
            answer.headers = plan.session_ended(answer.headers)
        hook = pipeline.must_buffer_answer(plan, self._method, answer.status)
        if hook is None:
            await self._start(answer.status, pipeline.answered(plan, answer.status, answer.headers, self._request_id))
            async for chunk in answer:
                await self._write({"type": "http.response.body", "body": chunk, "more_body": True})
            await self._write({"type": "http.response.body", "body": b"", "more_body": False})
            return None
        if (fault := pipeline.readable(answer.headers)) is not None:
            return fault
        made = hook(await answer.read(plan.route.max_answer), self._outcome.principal)
        if not isinstance(made, EditedAnswer | Fault):
            made = await made
        if isinstance(made, Fault):
            return made
        await self._reply(pipeline.replaced(answer.status, answer.headers, made, self._request_id))
        return None

    async def _reply(self, reply: Reply) -> None:
        await self._start(reply.status, reply.headers)
        await self._write({"type": "http.response.body", "body": reply.body, "more_body": False})

    async def _refuse(self, fault: Fault) -> None:
        body, reply = self._body, problem(fault, self._request_id)
        seen, whole = (0, False) if body is None else (body.seen, body.done)
        rest = Refusing(self._scope, seen, whole=whole)
        await self._start(reply.status, rest.lines(reply.headers))
        if rest.closes:
            await self._write({"type": "http.response.body", "body": reply.body, "more_body": True})
            await rest.drain(self._receive)
            await self._write({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self._write({"type": "http.response.body", "body": reply.body, "more_body": False})

    async def _start(self, status: int, headers: Headers) -> None:
        self._sent = status
        message: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
        await self._write(message)

    async def _write(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)
        except OSError:  # ASGI 2.4: a server may say so that the client has left
            raise ClientGone from None
