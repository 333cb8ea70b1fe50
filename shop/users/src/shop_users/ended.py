"""How the gateway learns which sessions are over: a header of the answer, which it keeps to itself.

A header, since a refusal has to say it as well: that of a refresh token which was used before.
"""

from collections.abc import Iterable
from typing import Any

HEADER = "session-ended"

DOCUMENTED: dict[str, Any] = {
    HEADER: {"description": "Sessions that are over now, separated by commas.", "schema": {"type": "string"}}
}


def told(sessions: Iterable[str]) -> dict[str, str]:
    """Return the header that names ``sessions``; none where there are none."""
    names = ",".join(sessions)
    return {HEADER: names} if names else {}
