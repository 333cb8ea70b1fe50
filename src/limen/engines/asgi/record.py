"""The outermost of a gateway under any ASGI server: every request has one id, one outcome, and is recorded once.

1. field values lose the white space behind them, which some servers leave there. The ``Outcome`` is made and put into the
   scope, where the asgi engine and FastAPI's own endpoints find it; they say what they know (the route, the caller, a
   fault) and leave the rest to this
2. the answer gets ``x-request-id`` where it has none; its status is noted
3. what ends without an answer gets one
4. whatever happens, the outcome is settled: a client that left is 499, an answer without its end was cut

What is under ``limen.engines.direct``'s protocols can tell more of the connection; it says so in the scope (``ENDED``).
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limen.client.trust import UNIX
from limen.engines.asgi.http10 import unchunked
from limen.engines.asgi.refusal import may_be_lost
from limen.errors import Fault, Kind
from limen.exchange.outcome import Outcome
from limen.http.headers import Head, trimmed
from limen.http.replies import problem
from limen.observe.access import shown
from limen.observe.redaction import logger
from limen.pipeline.settle import end, settle
from limen.pipeline.steps import request_id

_log = logger("limen.asgi")

OUTCOME = "limen.outcome"
"""In a scope: the ``Outcome`` of its request."""

ENDED = "limen.ended"
"""In a scope: the ``Fault`` for which its connection ended the exchange; None where the connection has recorded it itself."""

_ID = b"x-request-id"
_COMPLETE = frozenset(("http.response.pathsend", "websocket.close"))
_NEVER = Fault(Kind.CLIENT_CLOSED)


async def recorded(app: ASGIApp, scope: Scope, receive: Receive, send: Send, fresh: Callable[[], str]) -> None:
    """Call ``app`` and record what became of the request; ``fresh`` makes ids."""
    if scope["type"] not in ("http", "websocket"):
        await app(scope, receive, send)
        return
    if (
        known := scope.get(OUTCOME)
    ) is not None:  # the connection has answered, or an application around this records it
        try:
            await app(scope, receive, send)
        finally:
            end(known)
        return
    old = unchunked(scope, send)
    try:
        await _Request(scope, receive, send if old is None else old.send, fresh).run(app)
    finally:
        if old is not None:
            old.ended()


def begun(scope: Scope, fresh: Callable[[], str]) -> Outcome:
    """Return the outcome of a request that begins."""
    return Outcome(
        scope.get("method", "GET").encode("latin-1", "replace"),  # a WebSocket begins with GET
        scope.get("raw_path") or quote(scope["path"]).encode(),
        request_id(Head(list(scope["headers"])), fresh),
        peer(scope),
    )


def peer(scope: Scope) -> bytes:
    """Return the address of the other end of the connection; empty where the server does not know."""
    client, server = scope.get("client"), scope.get("server")
    if client:
        return client[0].encode("latin-1", "replace")
    return UNIX if server is None or server[1] is None else b""


class _Request:
    """One request, from before the application until after it."""

    __slots__ = ("_complete", "_gone", "_outcome", "_receive", "_scope", "_send", "_started", "_status")

    def __init__(self, scope: Scope, receive: Receive, send: Send, fresh: Callable[[], str]) -> None:
        self._started = perf_counter()
        scope["headers"] = [(name, trimmed(value)) for name, value in scope["headers"]]
        self._outcome = scope[OUTCOME] = begun(scope, fresh)
        self._scope = scope
        self._receive = receive
        self._send = send
        self._status = 0
        self._complete = False
        self._gone = False

    async def run(self, app: ASGIApp) -> None:
        outcome = self._outcome
        try:
            await app(self._scope, self.receive, self.send)
            if not self._status and not self._ended():
                _log.error("%s %s ended without an answer", *shown(outcome))
                await self._fail()
        except (Exception, asyncio.CancelledError) as error:
            if not self._ended() and not isinstance(error, OSError):
                outcome.code = outcome.code or Kind.INTERNAL_ERROR.code
                if isinstance(error, asyncio.CancelledError):
                    outcome.cause = outcome.cause or "the server gave the request up"
                if not self._status:
                    await self._fail()
            raise
        finally:
            self._settle()

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._complete:
            self._gone = True
        return message

    async def send(self, message: Message) -> None:
        kind: str = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
            self._status = message.get("status", 101)
            headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            if not any(bytes(name).lower() == _ID for name, _ in headers):
                headers.append((_ID, self._outcome.request_id.encode()))
            if may_be_lost(self._scope):  # what follows may be a part of the body
                headers = [line for line in headers if bytes(line[0]).lower() != b"connection"]
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif kind == "websocket.close" and not self._status:
            self._status = 403
        try:
            await self._send(message)
        except OSError:  # ASGI 2.4: so a server says that the client has left
            self._gone = True
            raise
        if kind in _COMPLETE or (kind.endswith(".response.body") and not message.get("more_body", False)):
            self._complete = True

    def _ended(self) -> bool:
        """Tell whether nobody waits for an answer of the application."""
        return self._gone or ENDED in self._scope

    async def _fail(self) -> None:
        """Answer: what a server would answer by itself has no id."""
        self._outcome.code = self._outcome.code or Kind.INTERNAL_ERROR.code
        if self._scope["type"] != "http":
            self._status = Kind.INTERNAL_ERROR.status
            return
        reply = problem(Fault(Kind.INTERNAL_ERROR), self._outcome.request_id)
        await self.send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await self.send({"type": "http.response.body", "body": reply.body})

    def _settle(self) -> None:
        outcome, fault = self._outcome, self._scope.get(ENDED, _NEVER)
        if fault is None:
            end(outcome)  # its line is written, and what it was is said in it
            return
        if ENDED in self._scope or (self._gone and not self._complete):
            outcome.code, outcome.cause = fault.kind.code, fault.cause
        if outcome.code == Kind.CLIENT_CLOSED.code:
            outcome.status = Kind.CLIENT_CLOSED.status
        else:
            outcome.status = self._status or Kind.INTERNAL_ERROR.status
            outcome.cut = bool(self._status) and not self._complete and self._scope["type"] == "http"
        if outcome.route == "-":
            outcome.route = getattr(self._scope.get("route"), "path", "-")
        outcome.seconds = perf_counter() - self._started
        settle(outcome)
