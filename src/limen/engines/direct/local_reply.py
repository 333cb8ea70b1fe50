"""A finished answer of the gateway's own, in line like any other."""

from typing import TYPE_CHECKING, final

from limen.engines.direct import record
from limen.engines.direct.pipelined import PipelinedRequest
from limen.errors import Fault
from limen.exchange.outcome import Outcome
from limen.http.replies import Reply

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
        self._connection.write_local_reply(self, self._reply, bodyless=self._method == b"HEAD")
        self._record(self._reply.status, self._fault)
        self._connection.local_reply_written(self)

    def drop(self, fault: Fault) -> None:
        """Record that nobody got it."""
        self._record(fault.kind.status, fault)

    def _record(self, status: int, fault: Fault | None) -> None:
        outcome = record.outcome_of(self._method, self._path, self._request_id, self._connection.peer, self._known)
        record.settle(outcome, status, fault)
