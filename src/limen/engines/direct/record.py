"""Records requests that nobody serves: refused ones, and those in line whose connection has ended, with the reason."""

import asyncio
import socket
from typing import Final

from limen.client.trust import UNIX
from limen.engines.direct.pipelined import GONE, PipelinedRequest
from limen.errors import Fault, Kind
from limen.exchange.outcome import Outcome
from limen.pipeline.settle import settle as settle_outcome

STOPPED: Final = Fault(Kind.SHUT_DOWN)
LAST: Final = Fault(Kind.SHUT_DOWN, cause="the answer before was the last on its connection")


def peer_of(transport: asyncio.BaseTransport, client: tuple[str, int] | None) -> bytes:
    """Return the address of the connection's other end; ``client`` is what uvicorn found."""
    if client:
        return client[0].encode("latin-1")
    here: socket.socket | None = transport.get_extra_info("socket")
    return UNIX if here is not None and here.family == getattr(socket, "AF_UNIX", None) else b""


def behind(before: PipelinedRequest | None, *, stopping: bool) -> Fault:
    """Return why requests in line are not served where nobody has cut their connection: the client, or the answer ``before``.

    What has cut that one ends these. One that is whole says nothing of them but whether it is the last.
    """
    if before is None or (before.complete and before.keep_alive):
        return GONE
    cause = before.cause_of_end()
    if cause is not None:
        return cause
    return STOPPED if stopping else LAST


def outcome_of(method: bytes, path: bytes, request_id: str, peer: bytes, known: Outcome | None = None) -> Outcome:
    """Return the outcome of a request that nobody serves any more; ``known`` is what was known of it before."""
    outcome = Outcome(method, path, request_id, peer)
    if known is not None:
        outcome.route, outcome.upstream, outcome.caller = known.route, known.upstream, known.caller
        outcome.target, outcome.attempts = known.target, known.attempts
    return outcome


def settle(outcome: Outcome, status: int, fault: Fault | None) -> None:
    """Record ``outcome``."""
    outcome.status = status
    if fault is not None:
        outcome.code, outcome.cause = fault.kind.code, fault.cause
    settle_outcome(outcome)
