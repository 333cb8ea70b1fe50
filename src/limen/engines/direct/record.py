"""Records requests that nobody serves: refused ones, and those in line whose connection has ended, with the reason."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from limen import pipeline
from limen.client.trust import UNIX
from limen.engines.asgi.record import OUTCOME, begun
from limen.engines.direct.shared import LocalReply
from limen.errors import Fault, Kind
from limen.exchange.outcome import Outcome
from limen.http.headers import Head

GONE: Final = Fault(Kind.CLIENT_CLOSED)
STOPPED: Final = Fault(Kind.SHUT_DOWN)
LAST: Final = Fault(Kind.SHUT_DOWN, cause="the answer before was the last on its connection")


def peer_of(transport: asyncio.BaseTransport, client: tuple[str, int] | None) -> bytes:
    """Return the address of the connection's other end; ``client`` is what uvicorn found."""
    if client:
        return client[0].encode("latin-1")
    here: socket.socket | None = transport.get_extra_info("socket")
    return UNIX if here is not None and here.family == getattr(socket, "AF_UNIX", None) else b""


def behind(before: Any, *, stopping: bool) -> Fault:
    """Return why requests in line are not served where nobody has cut their connection: the client, or the answer ``before``.

    What has cut that one ends these. One that is whole says nothing of them but whether it is the last.
    """
    if before is None or (before.response_complete and before.keep_alive):
        return GONE
    if isinstance(before, RequestResponseCycle):
        if not before.response_complete:
            return _of_application(before) or GONE
    elif not isinstance(before, LocalReply) and before.cut_by is not None:
        return before.cut_by
    return STOPPED if stopping else LAST


def _of_application(cycle: RequestResponseCycle) -> Fault | None:
    """Return what has cut an answer that has begun; the gateway's own endpoints have codes besides, which cut nothing."""
    scope: Any = cycle.scope
    outcome: Outcome | None = scope.get(OUTCOME)
    kind = Kind.__members__.get(outcome.code.upper()) if outcome is not None and cycle.response_started else None
    return None if outcome is None or kind is None else Fault(kind, cause=outcome.cause)


def said(answer: LocalReply, peer: bytes, status: int, fault: Fault | None) -> None:
    """Record a finished answer, or one that is not written any more."""
    outcome = Outcome(answer.method, answer.path, answer.request_id, peer)
    if answer.known is not None:
        outcome.route, outcome.upstream, outcome.caller = answer.known
    _settle(outcome, status, fault)


def taken_over(cycle: RequestResponseCycle, fresh: Callable[[], str]) -> Outcome:
    """Return the outcome of a request of uvicorn's that will be answered, and recorded, in the application's place.

    The application may have told a service its id. Where it has not begun yet, it finds this one, and records nothing.
    """
    scope: Any = cycle.scope
    outcome: Outcome = scope.setdefault(OUTCOME, None) or begun(scope, fresh)
    scope[OUTCOME] = outcome
    return outcome


def never_begun(cycle: Any, peer: bytes, fresh: Callable[[], str], fault: Fault) -> None:
    """Record a request of uvicorn's that was in line, and ``fault`` for which its connection has ended."""
    scope = cycle.scope
    request_id = pipeline.request_id(Head(list(scope["headers"])), fresh)
    _settle(Outcome(scope["method"].encode(), scope["raw_path"], request_id, peer), fault.kind.status, fault)


def _settle(outcome: Outcome, status: int, fault: Fault | None) -> None:
    outcome.status = status
    if fault is not None:
        outcome.code, outcome.cause = fault.kind.code, fault.cause
    pipeline.settle(outcome)
