"""``Max-Forwards`` (RFC 9110 section 7.6.2): how many more times an OPTIONS request may be passed on. Nothing else.

TRACE, its other use, is refused, and with other methods the field says nothing.
"""

from limen.http.headers import Head, Headers

NAME = b"max-forwards"

# Digits that are looked at; a larger number is lowered to that many, as a recipient may.
_DIGITS = 9


def spent(head: Head) -> bool:
    """Tell whether the request is not to be passed on: then its recipient answers for itself."""
    given = head.all(NAME)
    return len(given) == 1 and given[0].isdigit() and not given[0].strip(b"0")


def lowered(lines: Headers) -> Headers:
    """Return the lines for the next recipient, which may pass it on once less. What is no number stays as it is."""
    return [(name, _less(value) if name == NAME and value.isdigit() else value) for name, value in lines]


def _less(value: bytes) -> bytes:
    return b"%d" % max(int(value.lstrip(b"0")[:_DIGITS] or b"0") - 1, 0)
