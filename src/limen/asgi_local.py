"""The request bodies that the gateway's own endpoints read: they count among those that a worker holds, under any server.

What an endpoint has read counts until it has answered: FastAPI reads a declared body whole, and holds it. An endpoint that
takes more than ``MOST_COUNTED`` passes it on, or bounds it itself.
"""

import asyncio
from typing import Final

from starlette.types import Message, Receive, Send

from limen.errors import AGAIN, Fault, Kind
from limen.http.replies import problem
from limen.observe.outcome import Outcome
from limen.runtime.bodies import Bodies

MOST_COUNTED: Final = 10 * 1024 * 1024

_OF_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))


def framed(version: str, headers: list[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request may have a body; before HTTP/2 its head says so."""
    return not version.startswith("1") or any(name in _OF_FRAMING for name, _ in headers)


class LocalBody:
    """``receive`` and ``send`` of one request, for the application.

    Where the worker holds too much and this body has to give way, the endpoint is told that the client has left, and the
    client gets 503 in place of what the endpoint makes of that.
    """

    __slots__ = ("_bodies", "_counted", "_cut", "_outcome", "_receive", "_replaced", "_send", "_started", "_waiting")

    def __init__(self, receive: Receive, send: Send, bodies: Bodies, outcome: Outcome) -> None:
        """Nothing is read yet; ``outcome`` is what becomes of the request."""
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
        if not self._cut:
            try:
                async with asyncio.timeout(None) as self._waiting:
                    message = await self._receive()
            except TimeoutError:
                if not self._cut:
                    raise
            else:
                self._count(len(message.get("body", b"")))
                if not self._cut:
                    if not message.get("more_body", False):
                        self.release()  # it is whole: to cut it now would undo what the endpoint may have done
                    return message
            finally:
                self._waiting = None
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send ``message``, or 503 in its place."""
        if self._cut and not self._started:
            if not self._replaced:
                self._replaced = True
                fault = Fault(Kind.BODIES_FULL, headers=(*AGAIN, (b"connection", b"close")))
                self._outcome.code = fault.kind.code
                reply = problem(fault, self._outcome.request_id)
                await self._send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
                await self._send({"type": "http.response.body", "body": reply.body, "more_body": False})
            return
        self._started = True
        await self._send(message)

    def cut(self) -> None:
        """Give up: the worker holds too much."""
        self._cut = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def release(self) -> None:
        """Count no longer: the body is whole, or the endpoint has ended."""
        self._bodies.drop(self)

    def _count(self, size: int) -> None:
        size = min(size, MOST_COUNTED - self._counted)
        if size:
            self._counted += size
            self._bodies.add(self, size)

    def __repr__(self) -> str:
        """Show how much is counted."""
        return f"<LocalBody {self._counted} bytes{', cut' if self._cut else ''}>"
