"""The reference engine: serves every route under any ASGI server, innermost of the application's middleware.

``limen.pipeline.exchange`` decides; here is what it takes to do what it says, one request in one task:

1. find the plan, below a ``root_path``; what no route knows goes on to FastAPI's own router
2. do what the exchange's state asks for: wait, let FastAPI run the dependencies, read a declared body, send
3. attempt, perhaps once more; other bodies stream
4. pass the answer on, or read it and have it checked
5. say what it came to; ``limen.engines.asgi.record``, which stands before it, settles
"""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from limen.engines.asgi import record
from limen.engines.asgi.attempt import Attempt
from limen.engines.asgi.attempts import answered_attempt
from limen.engines.asgi.body import BodyCut, BodyLost, BodyTimeout, BodyTooLarge, ClientGone, RequestBody, Watch
from limen.engines.asgi.downstream import Downstream
from limen.engines.asgi.guarded import GUARDED, ApplicationSide, Guarded
from limen.engines.asgi.local import answer_heads, as_get, serve_locally, serve_websocket, with_allow
from limen.engines.asgi.local_body import LocalBody
from limen.engines.asgi.refusal import LOST, framed, may_be_lost
from limen.engines.asgi.root_path import path_below_root
from limen.engines.asgi.waiting import advance
from limen.errors import RETRY_AFTER, Fault, Kind
from limen.exchange.answer import Answer
from limen.exchange.hooks import NO_HOOKS
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.http.headers import Head, Headers
from limen.observe.access import shown
from limen.observe.redaction import logger
from limen.pipeline import steps
from limen.pipeline.exchange import Exchange, Found
from limen.pipeline.settle import end
from limen.pipeline.states import ANSWERING, BUFFERING, GUARDING, READING, REPLYING, SENDING
from limen.routing.find import final_recipient, find, refuse_websocket
from limen.routing.table import Local, Match, MethodNotAllowed
from limen.runtime.host import ActiveConfig, EngineHost
from limen.runtime.plan import Plan
from limen.upstream.error import UpstreamError
from limen.upstream.request_sender import UpstreamAnswer

_log = logger("limen.asgi")

EXCHANGE = "limen.exchange"
"""In a scope: the configuration, the request and its outcome, for endpoints of the application's own."""

PRINCIPAL = "limen.principal"
"""In a scope: who is calling, once the rule of an endpoint, or of a route with dependencies, has been asked."""


class Engine:
    """ASGI middleware that answers gateway routes and hands everything else on."""

    def __init__(self, app: ASGIApp, host: EngineHost) -> None:
        """Stand before ``app``, for the gateway ``host``."""
        self._app = app
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        active = self._host.active_config_of_loop()
        path, root = path_below_root(scope)
        if scope["type"] != "http":
            await self._websocket(active, scope, path, root, receive, send)
            return
        found = find(active.table, scope["method"].encode(), path, scope["query_string"])
        # None is there where middleware has made a scope of its own: then what stands before this knows nothing of the route.
        known: Outcome | None = scope.get(record.OUTCOME)
        outcome = known or record.begun(scope, active.runtime.new_request_id)
        request = _request(active, scope, path, root, outcome)
        if found is not None and not isinstance(found, Local) and scope["method"] == "OPTIONS":
            found = final_recipient(active.table, found, path, request.head)
        scope[EXCHANGE] = (active, request, outcome)
        try:
            if found is None or isinstance(found, Local):
                app = self._app if found is None or not found.as_get else as_get(self._app)
                await serve_locally(app, active, request, outcome, scope, receive, send)
            elif isinstance(found, MethodNotAllowed) and found.local and scope["method"] != "OPTIONS":
                app = with_allow(self._app, found.allow)  # what answers 405 may be the user's
                await serve_locally(app, active, request, outcome, scope, receive, send)
            else:
                if isinstance(found, Match):
                    scope["route"] = found.plan.route.declared_as
                    scope["path_params"] = {**scope.get("path_params", {}), **found.params}
                await _Exchange(self._app, active, scope, found, request, outcome, receive, send).run()
        finally:
            if known is None:
                end(outcome)

    async def _websocket(
        self, active: ActiveConfig, scope: Scope, path: bytes, root: bytes, receive: Receive, send: Send
    ) -> None:
        """Hand a WebSocket on, unless its path is none that may be served, or a policy refuses it."""
        fault = refuse_websocket(active.table, path)
        outcome = scope.get(record.OUTCOME) or record.begun(scope, active.runtime.new_request_id)
        request = _request(active, scope, path, root, outcome)
        scope[EXCHANGE] = (active, request, outcome)
        if fault is None and active.hooks is NO_HOOKS:
            await self._app(scope, receive, send)
            return
        core = Exchange(active, fault, request, outcome)
        await serve_websocket(self._app, core, outcome, scope, receive, send)


def _request(active: ActiveConfig, scope: Scope, path: bytes, root: bytes, outcome: Outcome) -> Request:
    peer, trust, scheme = outcome.peer, active.runtime.trust, scope["scheme"].encode()
    head = Head(list(scope["headers"]))
    method: str = scope.get("method", "GET")  # a WebSocket begins with GET
    origin = steps.origin(trust, head, peer=peer, trusted=trust.covers(peer), scheme=scheme)
    # None is a target without a question mark; what the server does not tell is taken for that.
    query: bytes = scope["query_string"]
    return Request(
        method.encode(),
        path,
        query if query or steps.EMPTY_QUERY in (scope.get("extensions") or ()) else None,
        head,
        request_id=outcome.request_id,
        peer=peer,
        client=origin.client,
        scheme=origin.scheme,
        host=origin.host,
        origin=steps.origin_lines(origin, root),
        root=root,
    )


class _Exchange:
    """One request, from its plan to its outcome."""

    __slots__ = ("_app", "_body", "_core", "_downstream", "_fault", "_receive", "_runtime", "_scope", "_send")

    def __init__(
        self,
        app: ASGIApp,
        active: ActiveConfig,
        scope: Scope,
        found: Found,
        request: Request,
        outcome: Outcome,
        receive: Receive,
        send: Send,
    ) -> None:
        self._core = Exchange(active, found, request, outcome)
        self._app = app
        self._fault: Fault | None = None  # of what comes behind the dependencies
        self._runtime = active.runtime
        self._scope = scope
        self._send = send
        self._receive = receive
        self._downstream = Downstream(scope, receive, send)
        self._body: RequestBody | None = None

    async def run(self) -> None:
        fault: Fault | None = None
        try:
            fault = await self._end(self._answer())
            if self._core.state == GUARDING:
                fault = await self._guarded()
        except ClientGone:
            fault = Fault(Kind.CLIENT_CLOSED)
        finally:
            # The record before this knows more of the end than this: it says what the status was.
            status = self._downstream.status
            self._core.describe(status, fault, cut=bool(status) and not self._downstream.whole)

    async def _end(self, answering: Awaitable[Fault | None]) -> Fault | None:
        """Answer; return the fault if that is what it ends with, whatever raises but for a client that leaves."""
        try:
            fault = await answering
        except ClientGone:
            raise
        except Exception:
            _log.exception("%s %s failed", *shown(self._core.outcome))
            fault = Fault(Kind.INTERNAL_ERROR)
        if fault is not None and not self._downstream.status:
            if self._core.fault is not fault:
                self._core.refuse(fault)
            await self._write_reply()
        return fault

    async def _answer(self) -> Fault | None:
        """Do what the state asks for until the answer is out; return the fault of one that is not."""
        core = self._core
        state = await advance(core, core.begin(), self._watched())
        return None if state == GUARDING else await self._serve(state)

    def _watched(self) -> Receive | None:
        """Return what to watch for a client that leaves: it would swallow what has not been read of a body."""
        return None if framed(self._scope) else self._receive

    async def _guarded(self) -> Fault | None:
        """Go through FastAPI, which runs the dependencies of the route: what they raise is FastAPI's to answer."""
        core, plan, scope = self._core, self._core.plan, self._scope
        assert plan is not None
        assert plan.guard is not None
        guarded = Guarded(plan.route.declared_as, plan.guard, core.request.params, self._pass_guard)
        send = answer_heads(core, self._send) if core.hooks.answer_head else self._send
        body = LocalBody(scope, self._receive, send, self._runtime.body_memory, core.outcome)
        side = ApplicationSide(self._downstream, guarded, body.receive, body.send)
        scope[GUARDED] = guarded
        scope[PRINCIPAL] = core.request.principal
        try:
            await self._app(scope, side.receive, side.send)
        finally:
            del scope[GUARDED]  # which holds this
            body.release()
        if not guarded.passed and not self._downstream.status:
            raise RuntimeError(f"{core.request.route}: the dependencies neither answered nor let the request pass")
        return self._fault

    async def _pass_guard(self, lines: Headers) -> None:
        self._fault = await self._end(self._behind_guard(lines))

    async def _behind_guard(self, lines: Headers) -> Fault | None:
        core = self._core
        return await self._serve(await advance(core, core.guard_passed(lines), self._watched()))

    async def _serve(self, state: int) -> Fault | None:
        """Do what the state asks for, behind what stands before the service."""
        core = self._core
        try:
            if state == READING:
                state = await advance(core, await self._read_body(), self._receive, self._body)
            if state == SENDING:
                return await self._forward()
            assert state == REPLYING
            await self._write_reply()
        except BodyTooLarge:
            core.refuse_too_large()
            return core.fault
        except BodyTimeout:
            # What is left of the body may still come: the connection cannot be used again.
            return Fault(Kind.REQUEST_TIMEOUT, headers=((b"connection", b"close"),))
        except BodyLost:
            return LOST
        except BodyCut:
            return Fault(Kind.BODIES_FULL, headers=(*RETRY_AFTER, (b"connection", b"close")))
        finally:
            if self._body is not None:
                self._body.release()
        return core.fault

    # --- the request's body ---

    def _streamed(self, plan: Plan) -> RequestBody:
        framing = self._core.to_send().framing
        self._body = stream = RequestBody(
            self._receive,
            framing.length,
            plan.route.max_body,
            idle_timeout=plan.body_silence,
            empty=not framing.framed,
            bodies=self._runtime.body_memory,
            unreliable=may_be_lost(self._scope),
        )
        return stream

    async def _read_body(self) -> int:
        plan = self._core.plan
        assert plan is not None
        return self._core.body_came(await self._streamed(plan).read())

    # --- the attempts ---

    async def _forward(self) -> Fault | None:
        """Send the request to the service, and its answer to the client."""
        core, plan, request = self._core, self._core.plan, self._core.to_send()
        assert plan is not None
        body: bytes | RequestBody | None = request.content
        if self._body is not None:
            self._body.release()  # it was checked, and is on its way
        elif plan.route.contract.body is None:
            stream = self._streamed(plan)
            if may_be_lost(self._scope):
                await stream.gather(lambda seen: not seen)  # before a service is asked
            if request.body_transform is not None:
                stream.change_by(request.body_transform)
            body = stream if request.framing.framed else None
        with Watch(self._receive, self._body):
            attempt = await answered_attempt(core, body)
            if attempt is None:
                assert core.reply is not None
                await self._downstream.refuse(core.reply, self._body)
                return core.fault
            if isinstance(attempt, Fault):
                return attempt
            try:
                return await self._pass_on(plan, attempt)
            finally:
                await attempt.aclose()

    # --- the answer ---

    async def _pass_on(self, plan: Plan, attempt: Attempt) -> Fault | None:
        core, answer = self._core, attempt.answered()
        try:
            state = core.answer_begins(answer.status, answer.headers)
            if state == ANSWERING:
                await self._stream(answer)
                return None
            if state == BUFFERING:
                content = await answer.read(plan.route.max_answer)
                await advance(core, core.answer_whole(content), None)
        except UpstreamError as error:
            # The head may be out: then leaving the answer unfinished makes the server cut the connection, and the client
            # cannot take it for whole.
            attempt.failed(error.fault)
            return error.fault
        if core.fault is None:
            await self._write_reply()
        return core.fault

    async def _stream(self, answer: UpstreamAnswer) -> None:
        head, filters, downstream = self._core.answer, self._core.filters, self._downstream
        assert head is not None
        if filters is None or not filters.changes_content:
            await downstream.start(head.status, head.lines)
        async for chunk in answer:
            data = chunk if filters is None else filters.feed(chunk) + filters.flush()
            if data:
                await self._begun(head)
                await downstream.write(data, more=True)
        rest = b"" if filters is None else filters.end()
        await self._begun(head)
        await downstream.write(rest, more=False)

    async def _begun(self, head: Answer) -> None:
        """Send the head, unless it is out: what changes content may fail with its first piece, and then it is a 500."""
        if not self._downstream.status:
            await self._downstream.start(head.status, head.lines)

    async def _write_reply(self) -> None:
        reply = self._core.reply
        assert reply is not None
        if self._core.fault is None:
            await self._downstream.reply(reply)
        else:
            await self._downstream.refuse(reply, self._body)
