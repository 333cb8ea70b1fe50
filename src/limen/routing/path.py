"""Raw paths: the check that refuses ambiguous ones, and how services may read the others.

Routing, authorization and the service must read the same path. So a path that two readers could read differently is
refused before anything else sees it; any other is forwarded byte for byte.
"""

import re
from urllib.parse import quote, unquote_to_bytes

from limen.errors import Fault, Kind

# The common case in one match: segments of unreserved characters and harmless punctuation, none of them empty, none
# beginning with a dot.
_CLEAN = re.compile(rb"(?:/[A-Za-z0-9_~\-!$&'()*+,=:@][A-Za-z0-9._~\-!$&'()*+,=:@]*)+/?|/")
_FORBIDDEN = re.compile(rb"[^\x21-\x7e]|[\\#?]|//|%(?![0-9A-Fa-f]{2})")
_ENCODED_FORBIDDEN = re.compile(rb"%(?:[01][0-9A-F]|7F|5C)", re.IGNORECASE)
# Searched after decoding, because each of its bytes may be encoded itself: ``%25%32%65`` is ``%252e``.
_STILL_ENCODED = re.compile(rb"%(?:2E|2F|5C|00|25)", re.IGNORECASE)
_OTHER_READING = re.compile(rb"%(?:2F|25|3B)|;", re.IGNORECASE)
_PARAMETERS = re.compile(rb";[^/]*")
_SLASHES = re.compile(rb"/+")
_DOT_SEGMENT = re.compile(rb"/\.{1,2}(?:[/;]|\Z)")


def check_path(raw: bytes) -> Fault | None:
    """Return a fault that says why ``raw`` is ambiguous, or None.

    Refused: dot segments (plain, encoded, with parameters), backslashes, control characters, NUL, empty segments,
    malformed or double encodings of separators, invalid UTF-8. ``%2F`` is data within a segment.
    """
    if _CLEAN.fullmatch(raw):
        return None
    if not raw.startswith(b"/"):
        return _ambiguous("It must begin with '/'.")
    if _FORBIDDEN.search(raw):
        return _ambiguous("It holds '//', '\\', '#' or bytes that must be percent-encoded.")
    if _ENCODED_FORBIDDEN.search(raw):
        return _ambiguous("It holds an encoded control character or an encoded backslash.")
    # As a whole and not segment by segment, of which there may be thousands: no match crosses a slash.
    decoded = unquote_to_bytes(raw)
    if _STILL_ENCODED.search(decoded):
        return _ambiguous("It holds a double encoding.")
    # Some servers remove ``;parameters`` before they resolve dot segments, and some split at %2F after decoding.
    if _DOT_SEGMENT.search(decoded):
        return _ambiguous("It holds a dot segment.")
    try:
        decoded.decode()
    except UnicodeDecodeError:
        return _ambiguous("It is not UTF-8 once decoded.")
    return None


def readings(raw: bytes) -> set[bytes]:
    """Return the paths that services may read ``raw`` as, where they read it otherwise; empty for nearly every path.

    Many decode before they split (so does Starlette: ``%2F`` becomes a slash), some decode twice, remove ``;parameters`` or
    merge slashes. A path is unambiguous only if none of these is the path of another route.
    """
    if not _OTHER_READING.search(raw):
        return set()
    once = unquote_to_bytes(raw)
    paths = {once, unquote_to_bytes(once), unquote_to_bytes(_PARAMETERS.sub(b"", raw)), _PARAMETERS.sub(b"", once)}
    paths |= {_SLASHES.sub(b"/", path) for path in paths}
    # Bytes that are no UTF-8 after decoding twice become a replacement character: only the slashes matter.
    return {quote(path.decode(errors="replace"), "/~").encode() for path in paths}


def _ambiguous(why: str) -> Fault:
    return Fault(Kind.BAD_PATH, f"The path is ambiguous. {why}")
