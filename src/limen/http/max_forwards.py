"""``Max-Forwards`` (RFC 9110 section 7.6.2): how many more times an OPTIONS request may be forwarded.

TRACE, its other use, is refused, and with other methods the field has no meaning.
"""

from limen.http.headers import Head, Headers

NAME = b"max-forwards"

# Digits that are read. A larger number is cut to that many, as a recipient may.
_DIGITS = 9


def exhausted(head: Head) -> bool:
    """Tell whether the request must not be forwarded: then its recipient answers it."""
    values = head.all(NAME)
    return len(values) == 1 and values[0].isdigit() and not values[0].strip(b"0")


def decremented(lines: Headers) -> Headers:
    """Return the lines for the next recipient, which may forward it once less. A value that is no number stays as it is."""
    return [(name, _decrement(value) if name == NAME and value.isdigit() else value) for name, value in lines]


def _decrement(value: bytes) -> bytes:
    return b"%d" % max(int(value.lstrip(b"0")[:_DIGITS] or b"0") - 1, 0)
