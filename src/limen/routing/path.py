"""Paths: the check that refuses ambiguous raw paths, and the syntax of patterns.

Routing, authorization and the service must read the same path. So a path that two readers could read differently is
refused before anything else sees it; any other is forwarded byte for byte.
"""

import re
from dataclasses import dataclass
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


_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?\}")
_PLAIN = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@]+")
_CONVERTERS = frozenset(("str", "int", "float", "uuid", "path"))


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a pattern: literal text, a parameter, or (``tail``) the rest of the path."""

    text: str
    parameter: bool = False
    tail: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed path pattern, such as ``/api/users/{user_id}`` or ``/reports/{path:path}``."""

    path: str
    segments: tuple[Segment, ...]

    @classmethod
    def parse(cls, path: str) -> "Pattern":
        """Parse ``path``; raises ValueError that says what is wrong with it."""
        if not path.startswith("/"):
            raise ValueError(f"the path {path!r} must begin with '/'")
        pieces = path[1:].split("/")
        segments: list[Segment] = []
        for index, piece in enumerate(pieces):
            last = index == len(pieces) - 1
            if piece == "" and last:
                segments.append(Segment(""))
            elif (match := _PLACEHOLDER.fullmatch(piece)) is not None:
                if match[2] is not None and match[2] not in _CONVERTERS:
                    raise ValueError(f"the path {path!r} uses {{{match[1]}:{match[2]}}}; known: {sorted(_CONVERTERS)}")
                tail = match[2] == "path"
                if tail and not last:
                    raise ValueError(f"the path {path!r}: {piece} takes the rest of the path, so it must come last")
                segments.append(Segment(match[1], parameter=True, tail=tail))
            elif not _PLAIN.fullmatch(piece) or piece in (".", ".."):
                raise ValueError(f"the path {path!r}: the segment {piece!r} must be plain text or {{one_parameter}}")
            else:
                segments.append(Segment(piece))
        names = [segment.text for segment in segments if segment.parameter]
        if len(set(names)) != len(names):
            raise ValueError(f"the path {path!r} names a parameter twice")
        return cls(path, tuple(segments))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(segment.text for segment in self.segments if segment.parameter)
