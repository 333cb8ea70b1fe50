"""Records requests that nobody serves: refused ones, and those in line whose client has left. Nothing is decided here."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from limen import pipeline
from limen.declare.trust import UNIX
from limen.direct.shared import Said
from limen.errors import Fault, Kind
from limen.http.headers import Head
from limen.observe.outcome import Outcome

GONE: Final = Fault(Kind.CLIENT_CLOSED)


def peer_of(transport: asyncio.BaseTransport, client: tuple[str, int] | None) -> bytes:
    """Return the address of the connection's other end; ``client`` is what uvicorn found."""
    if client:
        return client[0].encode("latin-1")
    here: socket.socket | None = transport.get_extra_info("socket")
    return UNIX if here is not None and here.family == getattr(socket, "AF_UNIX", None) else b""


def said(answer: Said, peer: bytes, status: int, fault: Fault | None) -> None:
    """Record a finished answer, or one that is not written any more."""
    _settle(Outcome(answer.method, answer.path, answer.request_id, peer), status, fault)


def never_begun(cycle: Any, peer: bytes, fresh: Callable[[], str]) -> None:
    """Record a request of uvicorn's, in line, whose client has left."""
    scope = cycle.scope
    request_id = pipeline.request_id(Head(list(scope["headers"])), fresh)
    _settle(Outcome(scope["method"].encode(), scope["raw_path"], request_id, peer), GONE.kind.status, GONE)


def _settle(outcome: Outcome, status: int, fault: Fault | None) -> None:
    outcome.status = status
    if fault is not None:
        outcome.code, outcome.cause = fault.kind.code, fault.cause
    pipeline.settle(outcome)
