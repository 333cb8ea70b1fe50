"""The rules that the head of a service's answer must keep, as pure functions: head in, what is wrong out.

httptools has refused most malformed answers before; here is what it lets through (RFC 9110 section 15, RFC 9112 section 6).
"""

from limen.http.headers import Headers


def check(status: int, version: str, headers: Headers) -> str | None:
    """Return what is wrong with a head, the framing of a final one aside; ``version`` is the parser's."""
    if 200 <= status < 600:
        return None if version in ("1.0", "1.1") else "neither HTTP/1.0 nor HTTP/1.1"
    if not 100 <= status < 200:
        # No status at all. 0 would even be taken for an answer that has not come.
        return "not a status"
    if status == 101:
        return "101 without being asked"
    # An interim answer ends with its head (RFC 9110 section 15.2). The parser would read content, which is no part of any
    # answer, or the next head; a length of 0 does no harm.
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 \t")):
            return "an interim answer with content"
    return None


def framings(headers: Headers) -> int:
    """Return how often a head says where the content ends; beyond 1 it disagrees with itself.

    Any disagreement about where an answer ends is how responses get split (RFC 9112 section 6.3).
    """
    found = 0
    for name, value in headers:
        if name == b"content-length":
            found += 1
        elif name == b"transfer-encoding":
            # Any coding but a single final chunked counts as a disagreement. So does a tab behind it, although it is no part
            # of the value (RFC 9110 section 5.5): the parser would read such content as if it had no chunks.
            found += 1 if value.rstrip(b" ").lower() == b"chunked" else 2
    return found
