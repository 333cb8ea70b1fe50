"""What the document says of responses besides their models: what they mean, their headers, and the errors of the services."""

from collections.abc import Mapping
from typing import Any

from limen import problems

Responses = dict[int | str, dict[str, Any]]
Headers = dict[str, dict[str, Any]]


def _header(name: str, description: str, kind: str, example: str | int) -> Headers:
    return {name: {"description": description, "schema": {"type": kind}, "example": example}}


TOTAL_COUNT = _header("X-Total-Count", "How many rows there are in all.", "integer", 21)
NO_STORE = _header("Cache-Control", "It holds a secret.", "string", "no-store")
REPLAYED = _header("Idempotency-Replayed", "`true` where an earlier request has created it.", "string", "true")
ETAG = _header("ETag", "The version, for `If-Match` and `If-None-Match`.", "string", '"1"')

_CHALLENGE = _header("WWW-Authenticate", "How to prove who calls (RFC 6750).", "string", "Bearer")
_RETRY_AFTER = _header("Retry-After", "Seconds until it is worth trying again.", "integer", 5)

_HEADERS_OF_ERRORS = {401: _CHALLENGE, 429: _RETRY_AFTER, 503: _RETRY_AFTER}


def location(path: str) -> Headers:
    """Return the header that says where a new row is; ``path`` is an example."""
    return _header("Location", "The path of what was created.", "string", path)


def success(status: int, description: str, *headers: Headers) -> Responses:
    """Document the response that a route promises, for ``responses=``."""
    together: Headers = {}
    for header in headers:
        together |= header
    return {status: {"description": description, "headers": together} if together else {"description": description}}


def conditional(description: str, *headers: Headers) -> Responses:
    """Document the answers of a conditional read that succeeds: the representation, or that the client has it already."""
    return success(200, description, ETAG, *headers) | success(304, "You have this version already.", ETAG)


CHANGED_SINCE = "`precondition_failed`: no `ETag` in your `If-Match` is the present one; read it again."
"""Why a change is refused with 412."""


def errors(reasons: Mapping[int, str]) -> Responses:
    """Document problems of the service by their status, each with the reason for it, for ``responses=``."""
    documented = problems(*reasons)
    for status, reason in reasons.items():
        documented[status]["description"] = reason
        if (headers := _HEADERS_OF_ERRORS.get(status)) is not None:
            documented[status]["headers"] = headers
    return documented
