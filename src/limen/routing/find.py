"""Whose request it is: the raw path, checked for ambiguity, in the table."""

import re
from functools import partial
from typing import Final, TypeVar

from limen.errors import Fault, Kind
from limen.http.headers import Head
from limen.http.max_forwards import exhausted
from limen.routing.matcher import TooLong
from limen.routing.path import check_path, readings
from limen.routing.table import HealthEndpoint, Local, Match, MethodNotAllowed, Redirect, Table

P = TypeVar("P")

_UNSAFE_QUERY: Final = re.compile(rb"[^\x21-\x7e]|#")

# Methods that are recognized whether or not a route has them: a path that has not is 405. Any other that no route has is 501
# (RFC 9110 section 9.1).
IMPLEMENTED: Final = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))


def find(
    table: Table[P], method: bytes, path: bytes, query: bytes
) -> Match[P] | Local | HealthEndpoint | Redirect | MethodNotAllowed | Fault | None:
    """Find the plan on raw bytes; None means that the table knows nothing of this path."""
    if query and _UNSAFE_QUERY.search(query):
        return check_path(path) or Fault(Kind.BAD_PATH, "The query holds bytes that must be percent-encoded.")
    if (exact := table.exact(method, path)) is not None:
        return exact  # a literal of ours is no path to be wary of
    if (fault := check_path(path)) is not None:
        return fault
    found = table.match(method, path)
    if isinstance(found, TooLong):
        return _too_long()
    if isinstance(found, MethodNotAllowed) and method not in IMPLEMENTED and method not in table.methods:
        return Fault(Kind.NOT_IMPLEMENTED)
    if isinstance(found, Match):
        for other in map(partial(table.match, method), readings(path)):
            if isinstance(other, Local | HealthEndpoint | TooLong) or (
                isinstance(other, Match) and other.plan is not found.plan
            ):
                return Fault(Kind.BAD_PATH, "The path is ambiguous. It can be read as that of another route.")
    return found


def refuse_websocket(table: Table[P], path: bytes) -> Fault | None:
    """Return why no WebSocket may be had at the raw ``path``; None where the application is to be asked."""
    fault = check_path(path)
    if fault is None and isinstance(table.match(b"websocket", path), TooLong):
        return _too_long()
    return fault


def _too_long() -> Fault:
    return Fault(Kind.URI_TOO_LONG, "A segment of the path is longer than its route takes.")


def final_recipient(
    table: Table[P], found: Match[P] | HealthEndpoint | Redirect | MethodNotAllowed | Fault, path: bytes, head: Head
) -> Match[P] | HealthEndpoint | Redirect | MethodNotAllowed | Fault:
    """Return what was ``found`` for an OPTIONS request, unless it may not be passed on: that one is answered here."""
    if isinstance(found, Match) and exhausted(head):
        here = table.match(b"", path)  # no route has this method: all that it has are named
        return here if isinstance(here, MethodNotAllowed) else found
    return found
