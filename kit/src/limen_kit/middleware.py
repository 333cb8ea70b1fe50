"""Around every request: its id, taken over from the gateway or made, in the log and in the answer; and the last resort
for what no handler knew. Pure ASGI.
"""

import logging
import re
from secrets import token_hex
from time import perf_counter

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
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if status:
                raise
            # Here, and not in Starlette's outermost handler, which knows nothing of the request's id any more.
            await unexpected()(scope, receive, sending)
        finally:
            # The path as it was sent: percent-encoded, so that it cannot break out of its line.
            path = scope.get("raw_path", b"-").decode("ascii", "backslashreplace")
            _log.info("%s %s %d %.1fms", scope["method"], path, status, (perf_counter() - started) * 1000)
            request_id.reset(token)
