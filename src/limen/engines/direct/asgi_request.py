"""A request that an ASGI application serves: FastAPI's local endpoints, and whatever the direct engine leaves to it.

1. ``begin``             a task that calls the application
2. ``receive``           the body as it has come; reading stops while 64 KiB of it wait
3. ``send``              the answer, framed as the client understands it
4. ``client_gone``, ``drop``, ``abort_request``   what the connection says of it
"""

import asyncio
import contextvars
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

from starlette.types import ASGIApp, Message
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from limen.engines.asgi.http10 import reset
from limen.engines.asgi.record import ENDED, OUTCOME, begun
from limen.engines.direct import record
from limen.engines.direct.downstream import CONTINUE
from limen.engines.direct.pipelined import GONE, PipelinedRequest
from limen.errors import Fault, Kind
from limen.exchange.outcome import Outcome
from limen.http.headers import TOKEN, Head
from limen.http.status import status_line
from limen.pipeline import steps

if TYPE_CHECKING:
    from limen.engines.direct.protocol import GatewayProtocol

_log = logging.getLogger("uvicorn.error")

# Bytes of a body that wait for the application before the client is made to wait.
_HIGH_WATER: Final = 65536

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_FAILED: Final = b"Internal Server Error"


@final
class AsgiRequest(PipelinedRequest):
    """One request; ``scope`` is what the application gets."""

    __slots__ = (
        *("_app", "_body", "_chunked", "_connection", "_ended", "_event", "_expects", "_gone", "_left", "_more_body"),
        *("_started", "_unsized", "_waiting", "scope"),
    )

    def __init__(
        self, connection: "GatewayProtocol", app: ASGIApp, scope: dict[str, Any], *, keep_alive: bool, expects: bool
    ) -> None:
        """``expects`` is a client that waits for 100 (Continue)."""
        super().__init__(keep_alive=keep_alive)
        self._connection = connection
        self._app = app
        self.scope = scope
        self._expects = expects
        self._event = asyncio.Event()
        self._body: list[bytes] = []
        self._waiting: int = 0  # bytes of the body that wait for the application
        self._left: int = 0  # bytes of the answer that were announced and are to come
        self._more_body = True
        self._gone = False
        self._ended = False  # the application has
        self._started = False
        self._chunked = False
        self._unsized = False  # content ends with the connection

    @property
    def replaceable(self) -> bool:
        """Tell whether the answer has not begun."""
        return not self._started

    # --- the connection ---

    def begin(self) -> None:
        """Call the application."""
        connection = self._connection
        turns = connection.state.turns
        turns.task_begins()
        app: Any = self._app
        if connection.is_at_its_limit():
            # As uvicorn does where ``limit_concurrency`` is set.
            app = service_unavailable
            _log.warning("Exceeded concurrency limit.")
        if connection.config.reset_contextvars:
            task = connection.loop.create_task(self._run(app), context=contextvars.Context())
        else:
            task = connection.loop.create_task(self._run(app))
        tasks = connection.tasks
        task.add_done_callback(tasks.discard)
        tasks.add(task)
        turns.task_made()

    def body_came(self, data: bytes) -> None:
        """Keep a piece of the body until the application asks for it."""
        if self.complete:
            return
        self._body.append(data)
        self._waiting += len(data)
        if self._waiting > _HIGH_WATER:
            self._connection.pause_reading()
        self._event.set()

    def body_ended(self) -> None:
        """Take note that the request is whole."""
        if not self.complete:
            self._more_body = False
            self._event.set()

    def client_gone(self, fault: Fault) -> None:
        """Tell the application, and whoever records the request why."""
        self._gone = True
        self._event.set()
        self.scope.setdefault(ENDED, fault)

    def drop(self, fault: Fault) -> None:
        """Record it: the application was never called."""
        request_id = steps.request_id(Head(list(self.scope["headers"])), self._connection.state.fresh)
        outcome = record.outcome_of(
            self.scope["method"].encode(), self.scope["raw_path"], request_id, self._connection.peer
        )
        record.settle(outcome, fault.kind.status, fault)

    def abort_request(self, fault: Fault) -> bool:
        """End, since the body will not become whole; False if the answer has not begun: then the server gives one."""
        self._gone = True
        self._event.set()
        self.scope[ENDED] = fault if self._started else None
        if self._started:
            reset(self._connection.transport)  # what the client gets must not look whole
        return self._started

    def taken_over(self, fresh: Callable[[], str]) -> Outcome:
        """Return the outcome of a request that the server answers, and records, in the application's place.

        The application may have told a service its id. Where it has not begun yet, it finds this one, and records nothing.
        """
        outcome: Outcome = self.scope.setdefault(OUTCOME, None) or begun(self.scope, fresh)
        self.scope[OUTCOME] = outcome
        return outcome

    def cause_of_end(self) -> Fault | None:
        """Return what has cut an answer; the gateway's own endpoints have codes besides, which cut nothing."""
        if self.complete:
            return None
        outcome: Outcome | None = self.scope.get(OUTCOME)
        kind = Kind.__members__.get(outcome.code.upper()) if outcome is not None and self._started else None
        return GONE if outcome is None or kind is None else Fault(kind, cause=outcome.cause)

    # --- the application ---

    async def _run(self, app: Any) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as error:
            _log.error("Exception in ASGI application\n", exc_info=error)
            if self._started:
                self._connection.transport.close()
            else:
                await self._fail()
        else:
            if not self._started and not self._gone:
                _log.error("the application has ended without an answer")
                await self._fail()
            elif not self.complete and not self._gone:
                _log.error("the application has ended before its answer was whole")
                self._connection.transport.close()
        finally:
            self._ended = True
            if self._unsized and self._started and not self.complete:
                reset(self._connection.transport)  # content that is not whole must not look so

    async def _fail(self) -> None:
        lines = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(_FAILED)),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": lines})
        await self.send({"type": "http.response.body", "body": _FAILED, "more_body": False})

    async def receive(self) -> Message:
        """Return what has come of the body; or that the client is gone, or has its answer."""
        connection = self._connection
        if self._expects and not connection.transport.is_closing():
            connection.transport.write(CONTINUE)
        self._expects = False
        if not self._gone and not self.complete:
            connection.resume_reading()
            await self._event.wait()
            self._event.clear()
        if self._gone or self.complete:
            return {"type": "http.disconnect"}
        body = b"".join(self._body)
        self._body.clear()
        self._waiting = 0
        return {"type": "http.request", "body": body, "more_body": self._more_body}

    async def send(self, message: Message) -> None:
        """Write a part of the answer; raises RuntimeError for a message that is out of order, or cannot be written."""
        connection = self._connection
        if connection.is_stalled() and not self._gone:
            await connection.drain()
        if self._gone:
            return
        kind: str = message["type"]
        if not self._started:
            if kind != "http.response.start":
                raise RuntimeError(f"the application sent {kind} where http.response.start was to come")
            self._start(message)
        elif self.complete:
            raise RuntimeError(f"the application sent {kind} behind a whole answer")
        elif kind != "http.response.body":
            raise RuntimeError(f"the application sent {kind} where http.response.body was to come")
        else:
            self._write(message.get("body", b""), last=not message.get("more_body", False))

    def _start(self, message: Message) -> None:
        connection, scope = self._connection, self.scope
        status: int = message["status"]
        old: bool = scope["http_version"] == "1.0"
        given: list[tuple[bytes, bytes]] = [*connection.server_state.default_headers, *message.get("headers", ())]
        lines = [status_line(status)]
        length: int | None = None
        chunked = closes = False
        for raw_name, value in given:
            if not TOKEN.fullmatch(raw_name) or _CONTROL.search(value):
                raise RuntimeError("the application sent a header line that is malformed")
            name = bytes(raw_name).lower()
            if name == b"content-length" and not chunked:
                length = int(value)
            elif name == b"transfer-encoding":
                if old:
                    continue  # which its client does not understand
                chunked = chunked or value.lower() == b"chunked"
            elif name == b"connection" and b"close" in [token.lower().strip() for token in value.split(b",")]:
                self.keep_alive = False
                closes = True
            lines += (name, b": ", value, b"\r\n")
        self._started = True
        self._expects = False
        if not self.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        bodyless = scope["method"] == "HEAD" or status in (204, 304)
        self._left = 0 if length is None or chunked else length
        if length is None and not chunked and not bodyless:
            if old:
                self._unsized = True
            else:
                chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
        self._chunked = chunked
        lines.append(b"\r\n")
        if connection.access_log is not None:
            seen: Any = scope  # of the same keys as uvicorn's
            connection.access_log.info(
                '%s - "%s %s HTTP/%s" %d',
                get_client_addr(seen),
                scope["method"],
                get_path_with_query_string(seen),
                scope["http_version"],
                status,
            )
        connection.write(b"".join(lines))

    def _write(self, body: bytes, *, last: bool) -> None:
        connection = self._connection
        if self.scope["method"] == "HEAD":
            self._left = 0
        elif self._chunked:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if last:
                data += b"0\r\n\r\n"
            if data:
                connection.write(data)
        else:
            if not self._unsized:
                self._left -= len(body)
                if self._left < 0:
                    raise RuntimeError("the application sent more content than it has announced")
            connection.write(body)
        if last:
            if self._left:
                raise RuntimeError("the application sent less content than it has announced")
            self.complete = True
            self._event.set()
            if not self._ended:
                connection.completed(close=not self.keep_alive)

    def __repr__(self) -> str:
        """Show how far it is."""
        state = "complete" if self.complete else "answering" if self._started else "waiting"
        return f"<AsgiRequest {self.scope['method']} {self.scope['raw_path']!r} {state}>"
