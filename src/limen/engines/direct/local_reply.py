"""Finished answers of the gateway's own, in line like any other: to what it refuses, and to ``OPTIONS *``."""

from typing import TYPE_CHECKING, final

from limen.engines.direct import record
from limen.engines.direct.downstream import reply_bytes
from limen.engines.direct.pipelined import PipelinedRequest
from limen.errors import Fault
from limen.exchange.outcome import Outcome
from limen.http.headers import Head
from limen.http.replies import Reply, problem
from limen.pipeline import steps

if TYPE_CHECKING:
    from limen.engines.direct.protocol import GatewayProtocol


@final
class LocalReply(PipelinedRequest):
    """Answers before anybody serves the request: a refused head or body, or ``OPTIONS *``."""

    __slots__ = ("_connection", "_fault", "_known", "_method", "_path", "_reply", "_request_id")

    def __init__(
        self,
        connection: "GatewayProtocol",
        reply: Reply,
        fault: Fault | None,
        *,
        method: bytes,
        path: bytes,
        request_id: str,
        known: Outcome | None = None,
    ) -> None:
        """``fault`` ends the connection; without one it goes on. ``known`` is what was known of the request before."""
        super().__init__(keep_alive=fault is None)
        self._connection = connection
        self._reply = reply
        self._fault = fault
        self._method = method
        self._path = path
        self._request_id = request_id
        self._known = known

    def begin(self) -> None:
        """Write it."""
        self.complete = True
        connection, reply = self._connection, self._reply
        lines = connection.default_headers()  # which may say that this is the last answer here
        head = self._method == b"HEAD"
        connection.write(reply_bytes(reply, lines, keep_alive=self.keep_alive, bodyless=head))
        self._record(reply.status, self._fault)
        connection.local_reply_written(close=not self.keep_alive)

    def drop(self, fault: Fault) -> None:
        """Record that nobody got it."""
        self._record(fault.kind.status, fault)

    def _record(self, status: int, fault: Fault | None) -> None:
        outcome = record.outcome_of(self._method, self._path, self._request_id, self._connection.peer, self._known)
        record.settle(outcome, status, fault)


def refusal(connection: "GatewayProtocol", fault: Fault, *, known: bool, outcome: Outcome | None) -> LocalReply:
    """Return the answer with ``fault`` to the newest request, behind which the connection ends.

    ``known`` says whether the parser knows its head; ``outcome`` is what an application has begun to record of it.
    """
    parser, state = connection.parser, connection.state
    method = parser.method() if known else b"-"
    path = parser.url.partition(b"?")[0] if known else b"-"
    if outcome is None:
        request_id = steps.request_id(Head(parser.headers if known else []), state.fresh)
    else:
        request_id = outcome.request_id
    reply = problem(fault, request_id)
    if state.proxy_status is not None:
        reply.headers.extend(state.proxy_status.lines_of(fault))
    return LocalReply(connection, reply, fault, method=method, path=path, request_id=request_id, known=outcome)


def options_of_server(connection: "GatewayProtocol", method: bytes, head: Head) -> LocalReply:
    """Return the answer to ``OPTIONS *`` (RFC 9110 section 9.3.7)."""
    request_id = steps.request_id(head, connection.state.fresh)
    reply = Reply(204, [(b"x-request-id", request_id.encode())], b"")
    return LocalReply(connection, reply, None, method=method, path=b"*", request_id=request_id)
