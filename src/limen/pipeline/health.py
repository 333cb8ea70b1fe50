"""What the health endpoints answer. The process that answers lives; whether it is ready is said by ``Readiness``."""

from typing import Final

from limen.errors import Fault, Kind
from limen.http.headers import Headers
from limen.http.replies import Reply
from limen.routing.table import HealthEndpoint
from limen.runtime.readiness import Readiness

_NO_STORE: Final = (b"cache-control", b"no-store")
_LIVE: Final = b'{"status":"alive"}'
_READY: Final = b'{"status":"ready"}'


def health_answer(endpoint: HealthEndpoint, readiness: Readiness, request_id: str) -> Reply | Fault:
    """Return the answer of ``endpoint``; a fault, with the reasons in its detail, while the gateway is not ready."""
    if not endpoint.ready:
        return _reply(_LIVE, request_id)
    reasons = readiness.reasons()
    if reasons:
        return Fault(Kind.NOT_READY, f"The gateway is not ready: {'; '.join(reasons)}.", headers=(_NO_STORE,))
    return _reply(_READY, request_id)


def _reply(body: bytes, request_id: str) -> Reply:
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        _NO_STORE,
        (b"x-request-id", request_id.encode()),
    ]
    return Reply(200, headers, body)
