"""A request of FastAPI's own endpoints: what is read of its body is bounded, and the policies of the whole gateway hold.

0.  ``enter``        before the application sees the request
13. ``answer_head``  the head of its answer
15. ``settle``       whatever happened; whoever records the request says when
"""

import asyncio
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limen.engines.asgi.body import ClientGone
from limen.engines.asgi.downstream import Downstream
from limen.engines.asgi.local_body import LocalBody
from limen.engines.asgi.refusal import framed
from limen.engines.asgi.waiting import advance
from limen.errors import Kind
from limen.exchange.answer import Answer
from limen.exchange.hooks import NO_HOOKS
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.http.headers import block
from limen.http.replies import Reply
from limen.pipeline.exchange import Exchange
from limen.pipeline.states import REPLYING
from limen.runtime.host import ActiveConfig


async def serve_locally(
    app: ASGIApp,
    active: ActiveConfig,
    request: Request,
    outcome: Outcome,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Hand a request that no route knows on to ``app``."""
    if active.hooks is not NO_HOOKS:
        core = Exchange(active, None, request, outcome)
        try:
            state = await advance(core, core.begin(), None if framed(scope) else receive)
            if state == REPLYING:
                await Downstream(scope, receive, send).refuse(_refusal(core, outcome), None)
                return
        except ClientGone:
            outcome.code = Kind.CLIENT_CLOSED.code
            return
        if active.hooks.answer_head:
            send = answer_heads(core, send)
    if not framed(scope):
        await app(scope, receive, send)
        return
    body = LocalBody(scope, receive, send, active.runtime.body_memory, outcome)
    try:
        await app(scope, body.receive, body.send)
    finally:
        body.release()


async def serve_websocket(
    app: ASGIApp, core: Exchange, outcome: Outcome, scope: Scope, receive: Receive, send: Send
) -> None:
    """Hand a WebSocket on to ``app``, unless ``core`` refuses it before its handshake."""
    if await advance(core, core.begin(), None) != REPLYING:
        await app(scope, receive, send)
        return
    reply = _refusal(core, outcome)
    await receive()  # its first message, which says nothing
    if "websocket.http.response" in (scope.get("extensions") or ()):
        lines = [line for line in reply.headers if line[0] != b"content-length"]
        await send({"type": "websocket.http.response.start", "status": reply.status, "headers": lines})
        await send({"type": "websocket.http.response.body", "body": reply.body})
    else:
        await send({"type": "websocket.close", "code": 1008})  # which a server answers with 403


def _refusal(core: Exchange, outcome: Outcome) -> Reply:
    assert core.reply is not None
    if core.fault is not None:
        outcome.code, outcome.cause = core.fault.kind.code, core.fault.cause
    return core.reply


def answer_heads(core: Exchange, send: Send) -> Send:
    """Return ``send`` for an application: policies see the head of its answer."""
    return _AnswerHeads(core, send).send


def as_get(app: ASGIApp) -> ASGIApp:
    """Return ``app`` for a HEAD request to endpoints that have GET alone: what GET answers, without its content."""

    async def head(scope: Scope, receive: Receive, send: Send) -> None:
        inner = {**scope, "method": "GET"}
        without_content = _WithoutContent(scope, receive, send)
        try:
            await app(inner, without_content.receive, without_content.send)
        except Exception:
            if not without_content.stopped:
                raise
        finally:
            scope.update({key: inner[key] for key in ("endpoint", "path_params", "route") if key in inner})

    return head


def with_allow(app: ASGIApp, methods: Sequence[bytes]) -> ASGIApp:
    """Return ``app`` for a method that no endpoint of a path has: FastAPI names those of the first endpoint alone."""
    allow = b", ".join(methods)

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 405:
                lines = [line for line in message.get("headers", ()) if bytes(line[0]).lower() != b"allow"]
                message = {**message, "headers": [*lines, (b"allow", allow)]}
            await send(message)

        await app(scope, receive, send_head)

    return refuse


class _WithoutContent:
    """The client's side of a HEAD request. The answer ends with its head, and the application is told that the client left.

    Content may be endless. From ASGI 2.4 on an application learns of that by an OSError, before by a message.
    """

    __slots__ = ("_ended", "_raises", "_receive", "_send", "stopped")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        version: str = scope.get("asgi", {}).get("spec_version", "2.0")
        self._raises = tuple(map(int, version.split("."))) >= (2, 4)
        self._ended = False
        self._receive = receive
        self._send = send
        self.stopped = False

    async def receive(self) -> Message:
        return {"type": "http.disconnect"} if self._ended else await self._receive()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send(message)
        elif not self._ended:
            self._ended = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        elif self._raises:
            self.stopped = True
            raise OSError("the client has asked for the head alone")
        else:
            await asyncio.sleep(0)  # whoever waits for the message has its turn


class _AnswerHeads:
    """``send`` of one request, for the application: policies see the head of its answer."""

    __slots__ = ("_core", "_send")

    def __init__(self, core: Exchange, send: Send) -> None:
        self._core = core
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            lines = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
            length = next((int(value) for name, value in lines if name == b"content-length" and value.isdigit()), None)
            answer = Answer(message["status"], lines, length, "local")
            for change in self._core.hooks.answer_head:
                change(self._core.request, answer)
            block(answer.lines)  # a policy may have made one that breaks out of its line
            message = {**message, "status": answer.status, "headers": answer.lines}
        await self._send(message)
