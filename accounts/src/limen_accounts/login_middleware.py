"""Refuses logins before FastAPI handles them. In a flood of logins most are refused (``HashingBusy``, delays), and a refusal
here takes less than half of the CPU of a path operation, on the core that serves all other requests.

``login.refusal`` decides what is refused, and logs it. Every other request is passed on unchanged, invalid ones included:
FastAPI answers those. The body has to be read, because delays depend on the account.
"""

import json
from collections.abc import Sequence
from typing import cast

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limen_accounts.dependencies import State
from limen_accounts.login import address_of, refusal
from limen_accounts.schemas import Credentials
from limen_kit.problems import problem_response

# Bytes: enough for all valid credentials, as JSON in ASCII. A larger body is passed on without being parsed.
_MAX_BYTES = 4096

_JSON = b"application/json"


class LoginRefusalMiddleware:
    """Answers a POST of ``path`` at once if ``login.refusal`` refuses it."""

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
        messages = await _read_body(receive)
        credentials = _parse_credentials(messages)
        if credentials is not None:
            state = cast("State", scope["app"].state.accounts)
            address = address_of(HTTPConnection(scope))
            problem = refusal(credentials, address, state.login_throttle, state.password_hasher, state.now())
            if problem is not None:
                await problem_response(problem)(scope, receive, send)
                return
        buffered = iter(messages)

        async def replay() -> Message:
            message = next(buffered, None)
            return await receive() if message is None else message

        await self._app(scope, replay, send)


async def _read_body(receive: Receive) -> list[Message]:
    """Return the messages of a body: all of them, or those up to the limit or to the client's disconnect."""
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if not message.get("more_body", False) or size > _MAX_BYTES:
            return messages


def _parse_credentials(messages: Sequence[Message]) -> Credentials | None:
    """Return the credentials that the path operation would get; None for an invalid, too large or incomplete body."""
    body = b"".join(message.get("body", b"") for message in messages)
    if messages[-1]["type"] != "http.request" or messages[-1].get("more_body", False) or len(body) > _MAX_BYTES:
        return None
    try:
        # As FastAPI does it: pydantic's own JSON parser differs, for example in the strings that it accepts.
        return Credentials.model_validate(json.loads(body))
    except (ValueError, RecursionError):
        return None
