"""Logins that are refused before FastAPI sees them. Many at once are mostly refusals (``Busy``, delays), and here one costs
the application less than half of what it does through a path operation: all others share the core with them.

What is refused, how, and what is logged, is ``login.refusal``'s. Everything else goes on as it came, also what is wrong:
how to tell that is FastAPI's. The body is needed, for delays go by account, and whoever is known at an address is not held
back by what others do there.
"""

import json
from collections.abc import Sequence
from typing import cast

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limen_kit.problems import problem_response
from shop_users.login import address_of, refusal
from shop_users.parts import State
from shop_users.schemas import Credentials

# Bytes: enough for all credentials that are right in form, as JSON in ASCII. What is larger goes on as it came, unread.
_MOST = 4096

_JSON = b"application/json"


class Refusals:
    """Answers a POST of ``path`` at once if it is to be refused."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        """Wrap ``app``."""
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if (
            scope["type"] != "http"
            or scope["path"] != self._path
            or scope["method"] != "POST"
            or [value for name, value in scope["headers"] if name == b"content-type"] != [_JSON]
        ):
            await self._app(scope, receive, send)
            return
        messages = await _received(receive)
        credentials = _credentials(messages)
        if credentials is not None:
            state = cast("State", scope["app"].state)
            address = address_of(HTTPConnection(scope))
            refused = refusal(credentials, address, state.guessing, state.passwords, state.now())
            if refused is not None:
                await problem_response(refused)(scope, receive, send)
                return
        waiting = iter(messages)

        async def again() -> Message:
            message = next(waiting, None)
            return await receive() if message is None else message

        await self._app(scope, again, send)


async def _received(receive: Receive) -> list[Message]:
    """Return the messages of a body: all, or as many as show that it is too large, or that the client has left."""
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if not message.get("more_body", False) or size > _MOST:
            return messages


def _credentials(messages: Sequence[Message]) -> Credentials | None:
    """Return what a path operation would be given, or None for whatever it would not be called for, or has to wait for."""
    body = b"".join(message.get("body", b"") for message in messages)
    if messages[-1]["type"] != "http.request" or messages[-1].get("more_body", False) or len(body) > _MOST:
        return None
    try:
        # As FastAPI does it: pydantic's own reader of JSON differs, for one in what it takes for text.
        return Credentials.model_validate(json.loads(body))
    except (ValueError, RecursionError):
        return None
