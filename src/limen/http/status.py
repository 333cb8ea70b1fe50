"""Status lines, computed once."""

from http import HTTPStatus
from typing import Final

_PHRASES = {status.value: status.phrase for status in HTTPStatus}

# The reason phrases are ours, not the service's: RFC 9112 section 4 gives them no meaning, and so none has to be checked.
STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(200, 600)
}


def status_line(status: int) -> bytes:
    """Return the status line, CRLF included; a status without a registered phrase has an empty one."""
    return STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()
