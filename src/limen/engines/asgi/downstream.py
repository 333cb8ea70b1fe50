"""The client's side of an exchange under an ASGI server: its answer, and whether it is still there."""

from starlette.types import Message, Receive, Scope, Send

from limen.engines.asgi.body import ClientGone, RequestBody
from limen.engines.asgi.refusal import Refusing
from limen.http.headers import Headers
from limen.http.replies import Reply


class Downstream:
    """``status`` is that of the answer, 0 before it has begun; ``whole`` says that all of it was sent."""

    __slots__ = ("_receive", "_scope", "_send", "status", "whole")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing is answered yet."""
        self._scope = scope
        self._receive = receive
        self._send = send
        self.status = 0
        self.whole = False

    async def start(self, status: int, headers: Headers) -> None:
        """Send a head. Raises ClientGone, as the others do."""
        self.status = status
        try:
            await self._put({"type": "http.response.start", "status": status, "headers": headers})
        except (RuntimeError, ValueError):  # a server does not take such a head: nothing is out
            self.status = 0
            raise

    async def write(self, data: bytes, *, more: bool) -> None:
        """Send a piece of content; without ``more`` it is the last."""
        await self._put({"type": "http.response.body", "body": data, "more_body": more})
        self.whole = not more

    async def reply(self, reply: Reply) -> None:
        """Send a whole answer."""
        await self.start(reply.status, reply.headers)
        await self.write(reply.body, more=False)

    async def refuse(self, reply: Reply, body: RequestBody | None) -> None:
        """Send a refusal, and see to what is left of ``body``."""
        seen, whole = (0, False) if body is None else (body.seen, body.done)
        rest = Refusing(self._scope, seen, whole=whole)
        await self.start(reply.status, rest.lines(reply.headers))
        if rest.closes:
            await self.write(reply.body, more=True)
            await rest.drain(self._receive)
            await self.write(b"", more=False)
        else:
            await self.write(reply.body, more=False)

    async def _put(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # ASGI 2.4: a server may say so that the client has left
            raise ClientGone from None
