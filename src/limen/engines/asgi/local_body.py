"""The request bodies that the gateway's own endpoints read: they count among those that a worker holds, under any server.

What an endpoint has read counts until the body is whole, or the endpoint has ended. One that takes more than ``MOST_COUNTED``
passes it on, or bounds it itself. JSON that holds more values than may be is refused before anybody reads it, as on the
gateway's routes: what it costs to check is how many there are.
"""

import asyncio
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from limen.engines.asgi.refusal import LOST, Refusing, may_be_lost
from limen.errors import RETRY_AFTER, Fault, Invalid, Kind
from limen.exchange.outcome import Outcome
from limen.fairness.body_memory import BodyMemory
from limen.fairness.validations import MostValues, heavy
from limen.http.headers import is_json
from limen.http.replies import problem
from limen.runtime.route import DEFAULT_HELD

MOST_COUNTED: Final = 10 * 1024 * 1024


class LocalBody:
    """``receive`` and ``send`` of one request, for the application.

    Where the worker holds too much and this body has to give way, the endpoint is told that the client has left, and the
    client gets 503 in place of what the endpoint makes of that; so it is with JSON of too many values, and 422.
    """

    __slots__ = (
        *("_bodies", "_counted", "_cut", "_fault", "_json", "_outcome", "_receive", "_replaced", "_rest", "_scope"),
        *("_seen", "_send", "_started", "_waiting", "_whole"),
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, bodies: BodyMemory, outcome: Outcome) -> None:
        """Nothing is read yet; ``outcome`` is what becomes of the request."""
        self._json: list[bytes] | None = (
            [] if any(name == b"content-type" and is_json(value) for name, value in scope["headers"]) else None
        )
        self._scope = scope
        self._seen = 0
        self._whole = False
        self._rest: Refusing | None = None  # once it is refused
        self._fault: Fault | None = None
        self._receive = receive
        self._send = send
        self._bodies = bodies
        self._outcome = outcome
        self._counted = 0
        self._cut = False
        self._started = False
        self._replaced = False
        self._waiting: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        """Return the next message, and count what is in it."""
        if self._fault is None:
            try:
                async with asyncio.timeout(None) as self._waiting:
                    message = await self._receive()
            except TimeoutError:
                if not self._cut:
                    raise
            else:
                if message["type"] != "http.request":  # the client has left: what has come is no document
                    self._whole = True  # as whole as it gets
                    self._json = None
                    self.release()
                    return message
                self._seen += len(message.get("body", b""))
                self._count(len(message.get("body", b"")))
                whole = self._whole = not message.get("more_body", False)
                if whole and not self._seen and may_be_lost(self._scope):
                    self._fault = LOST
                if not self._cut:
                    if self._json is not None:
                        self._look(message.get("body", b""), whole=whole)
                    if whole:
                        self.release()  # to cut it now would undo what the endpoint may have done
                    if self._fault is None:
                        return message
            finally:
                self._waiting = None
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send ``message``, or in its place why the body is refused."""
        fault = self._fault
        if fault is not None and not self._started:
            if not self._replaced:
                self._replaced = True
                self._outcome.code = fault.kind.code
                reply = problem(fault, self._outcome.request_id)
                await self._pass_on({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
                await self._pass_on({"type": "http.response.body", "body": reply.body, "more_body": False})
            return
        self._started = True
        await self._pass_on(message)

    async def _pass_on(self, message: Message) -> None:
        """Send ``message``; of a refusal that ends the connection, see to what comes of the body meanwhile."""
        kind: str = message["type"]
        if kind == "http.response.start" and message["status"] >= 400:
            self._rest = Refusing(self._scope, self._seen, whole=self._whole)
            message = {**message, "headers": self._rest.lines(list(message.get("headers", ())))}
        rest = self._rest
        if rest is None or not rest.closes or kind != "http.response.body" or message.get("more_body", False):
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await rest.drain(self._receive)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def cut(self) -> None:
        """Give up: the worker holds too much."""
        self._cut = True
        self._fault = Fault(Kind.BODIES_FULL, headers=(*RETRY_AFTER, (b"connection", b"close")))
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def release(self) -> None:
        """Count no longer: the body is whole, or the endpoint has ended."""
        self._bodies.drop(self)

    def _look(self, piece: bytes, *, whole: bool) -> None:
        assert self._json is not None
        self._json.append(piece)
        if whole:
            content, self._json = b"".join(self._json), None
            most = MostValues.of(max(len(content), DEFAULT_HELD))
            if heavy(content) and most.passed(content):
                misfit = Invalid(("body",), f"Input may hold {most}", "too_many_values")
                self._fault = Fault(Kind.INVALID_REQUEST, errors=(misfit,))
        elif self._counted >= MOST_COUNTED:
            self._json = None  # it is not held any more, and nobody who checks it has so much

    def _count(self, size: int) -> None:
        size = min(size, MOST_COUNTED - self._counted)
        if size:
            self._counted += size
            self._bodies.add(self, size)

    def __repr__(self) -> str:
        """Show how much is counted."""
        return f"<LocalBody {self._counted} bytes{', cut' if self._cut else ''}>"
