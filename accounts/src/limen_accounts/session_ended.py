"""The response header that tells the gateway which sessions have ended. The gateway removes it.

It is a header because a 401 carries it too: a reused refresh token is refused, and ends its session.
"""

from collections.abc import Iterable
from typing import Any

HEADER = "session-ended"

RESPONSE_HEADERS: dict[str, Any] = {
    HEADER: {"description": "Sessions that are over now, separated by commas.", "schema": {"type": "string"}}
}

SESSIONS_ENDED: dict[int | str, dict[str, Any]] = {204: {"headers": RESPONSE_HEADERS}}
"""The answer without content of a route that ends sessions, for ``responses=``."""


def session_ended_header(session_ids: Iterable[str]) -> dict[str, str]:
    """Return the header that names ``session_ids``, or no header for none."""
    value = ",".join(session_ids)
    return {HEADER: value} if value else {}
