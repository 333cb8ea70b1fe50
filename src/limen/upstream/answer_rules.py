"""The rules for the head of a service's answer, as pure functions.

httptools refuses most malformed answers; these rules cover what it lets through (RFC 9110 section 15, RFC 9112 section 6).
"""

from limen.http.headers import Headers


def check(status: int, version: str, headers: Headers) -> str | None:
    """Return what is wrong with a head, or None. ``version`` is the parser's; ``framing_count`` checks the framing."""
    if 200 <= status < 600:
        return None if version in ("1.0", "1.1") else "neither HTTP/1.0 nor HTTP/1.1"
    if not 100 <= status < 200:
        # Not a status of HTTP. 0 would even look like an answer that has not come.
        return "not a status"
    if status == 101:
        return "101 without being asked"
    # An interim answer ends with its head (RFC 9110 section 15.2). The parser would read content, which is no part of any
    # answer, or the next head; a length of 0 does no harm.
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 \t")):
            return "an interim answer with content"
    return None


def framing_count(headers: Headers) -> int:
    """Count the header lines that say where the content ends; with more than 1, the framing is ambiguous.

    Ambiguous framing is what response splitting lives on (RFC 9112 section 6.3).
    """
    count = 0
    for name, value in headers:
        if name == b"content-length":
            count += 1
        elif name == b"transfer-encoding":
            # Any coding but a single final chunked counts as ambiguous. So does a tab behind it, although it is no part of
            # the value (RFC 9110 section 5.5): the parser would read such content as if it had no chunks.
            count += 1 if value.rstrip(b" ").lower() == b"chunked" else 2
    return count
