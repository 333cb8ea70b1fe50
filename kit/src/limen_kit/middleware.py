"""Around every request, in pure ASGI: its id, taken over from the gateway or made, in the log and in the answer; the
last resort for what no handler knew; the bound on its body; and HEAD, which no path operation declares.
"""

import logging
import re
from secrets import token_hex
from time import perf_counter

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limen_kit.logs import request_id
from limen_kit.problems import unexpected

_ID = re.compile(rb"[A-Za-z0-9._\-]{1,128}")
_log = logging.getLogger("limen_kit.access")


class RequestId:
    """Sets ``limen_kit.logs.request_id``, answers with ``x-request-id``, logs one line a request, turns bugs into 500."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"x-request-id"]
        known = len(given) == 1 and _ID.fullmatch(given[0]) is not None
        name = given[0].decode() if known else token_hex(16)
        token = request_id.set(name)
        started = perf_counter()
        # The path as it was sent: percent-encoded, so that it cannot break out of its line.
        path = scope.get("raw_path", b"-").decode("ascii", "backslashreplace")
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name.encode())]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            _log.exception("%s %s failed", scope["method"], path)
            if status:
                raise
            # Here, and not in Starlette's outermost handler, which knows nothing of the request's id any more.
            await unexpected()(scope, receive, sending)
        finally:
            _log.info("%s %s %d %.1fms", scope["method"], path, status, (perf_counter() - started) * 1000)
            request_id.reset(token)


class BodyLimit:
    """Ends a request whose body has more than ``limit`` bytes with 413, announced or not.

    FastAPI's own limit answers in plain text, from outside of every handler.
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
        seen = 0

        async def receiving() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise HTTPException(413, f"The request body may have {self._limit} bytes.")
            return message

        await self._app(scope, receiving, send)


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

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, sending)
