"""A request on its way through FastAPI, which runs the dependencies of its route before the exchange goes on."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.types import Message, Receive, Send

from limen.engines.asgi.downstream import Downstream
from limen.http.declared import kept_of_answers
from limen.http.headers import Headers, block
from limen.runtime.route import Guard

GUARDED: Final = "limen.guarded"
"""In a scope: the ``Guarded`` of its request."""


class Guarded:
    """``route`` is the route as FastAPI knows it; ``guard`` runs its dependencies, and calls ``proceed`` in the end."""

    __slots__ = ("_proceed", "guard", "params", "passed", "route")

    def __init__(
        self,
        route: object,
        guard: Guard,
        params: Mapping[str, Any],
        proceed: Callable[[Headers], Awaitable[None]],
    ) -> None:
        """Nothing has run yet."""
        self.route = route
        self.guard = guard
        self.params = params
        self.passed = False
        self._proceed = proceed

    async def proceed(self, lines: Headers) -> None:
        """Go on with the exchange; ``lines`` are those that dependencies add to the head of the service's answer.

        Raises ValueError for a line that would break the head, or say what only the gateway says.
        """
        for name, _ in lines:
            if (why := kept_of_answers(name)) is not None:
                raise ValueError(f"a dependency has set the header {name.decode('latin-1')!r}, which {why}")
        block(lines)
        self.passed = True
        await self._proceed(lines)


class ApplicationSide:
    """``receive`` and ``send`` for FastAPI, until the dependencies have passed; what it answers is noted."""

    __slots__ = ("_downstream", "_guarded", "_receive", "_send")

    def __init__(self, downstream: Downstream, guarded: Guarded, receive: Receive, send: Send) -> None:
        """``downstream`` is the exchange's own side of the same connection."""
        self._downstream = downstream
        self._guarded = guarded
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """Raise RuntimeError before there is an answer: the body is for the service."""
        if not self._downstream.status:
            raise RuntimeError(
                "a dependency of a gateway route has asked for the body of the request, which goes to the service; what a "
                "dependency reads has to be in the head"
            )
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Pass an answer of FastAPI's on."""
        if message["type"] == "http.response.start":
            self._downstream.status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._downstream.whole = True
        await self._send(message)
