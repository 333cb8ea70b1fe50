"""Pure ASGI middleware of every service: the request id (the gateway's, or a new one) in the log and in the response, the
500 for unhandled exceptions, the limit on the body, and HEAD, which no path operation declares.
"""

import logging
import re
from secrets import token_hex
from time import perf_counter

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limen_kit.logs import request_id
from limen_kit.problems import internal_error_response

_VALID_ID = re.compile(rb"[A-Za-z0-9._\-]{1,128}")
_log = logging.getLogger("limen_kit.access")


class RequestId:
    """Sets ``limen_kit.logs.request_id`` and ``x-request-id``, logs one line per request, answers unhandled exceptions."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = [value for name, value in scope["headers"] if name == b"x-request-id"]
        valid = len(sent) == 1 and _VALID_ID.fullmatch(sent[0]) is not None
        identifier = sent[0].decode() if valid else token_hex(16)
        token = request_id.set(identifier)
        started = perf_counter()
        # The path as it was sent: percent-encoded, so that it cannot begin another line of the log.
        path = scope.get("raw_path", b"-").decode("ascii", "backslashreplace")
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identifier.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _log.exception("%s %s failed", scope["method"], path)
            if status:
                raise
            # Here, and not in Starlette's outermost handler, where the request's id is no longer set.
            await internal_error_response()(scope, receive, send_with_id)
        finally:
            _log.info("%s %s %d %.1fms", scope["method"], path, status, (perf_counter() - started) * 1000)
            request_id.reset(token)


class BodyLimit:
    """Answers 413 to a body of more than ``limit`` bytes, whether or not Content-Length announces it.

    FastAPI's own limit answers in plain text, outside of all exception handlers.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        """Wrap ``app``."""
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise HTTPException(413, f"The request body may have {self._limit} bytes.")
            return message

        await self._app(scope, receive_bounded, send)


class HeadAsGet:
    """Answers HEAD with the head that GET would have (RFC 9110 section 9.3.2); FastAPI would refuse it with 405."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)
