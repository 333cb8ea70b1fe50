"""``fallback=`` of a route: what answers where its service does not: another upstream, or a fixed answer.

It takes over once the attempts at the service, retries included, have ended with one of the faults below or with an answer
that a retry would have replaced, and before anything of an answer has reached the client.
"""

from typing import Final

from limen.errors import Kind
from limen.policies.respond import Respond
from limen.upstream.declared import Upstream
from limen.upstream.retry import Retry

Fallback = Upstream | Respond

FALLS_BACK: Final = frozenset(
    (
        Kind.UPSTREAM_REFUSED,
        Kind.CONNECT_TIMEOUT,
        Kind.UPSTREAM_TLS,
        Kind.POOL_EXHAUSTED,
        Kind.UPSTREAM_CLOSED,
        Kind.UPSTREAM_PROTOCOL,
        Kind.ANSWER_TIMEOUT,
    )
)
"""Faults of the service for which the fallback answers. An answer that breaks its contract is none: it is to be seen."""


def check_fallback(fallback: object) -> None:
    """Raise TypeError for what is no fallback."""
    if not isinstance(fallback, Upstream | Respond):
        raise TypeError(
            f"fallback={fallback!r} is neither an Upstream nor a fixed answer; write Upstream(name, [address]) or "
            "Respond(status, content)"
        )


def replaced_statuses(retry: Retry | None) -> frozenset[int]:
    """Return the statuses of answers in whose place the fallback answers: those that a retry would replace."""
    return frozenset() if retry is None else frozenset(retry.statuses)
