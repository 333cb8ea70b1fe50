"""Whether a raw segment, or a rest of a path, is what a pattern asks for: a converter, or text around parameters.

It is matched decoded, as services read it, except that ``%2F`` stays data: no slash of a pattern, and no end of a segment.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from limen.routing.pattern import LONGEST_NUMBER, Pattern, Piece, Segment

# A character for %2F that no bytes decode to: half of a surrogate pair, and not of those that stand for what is no UTF-8.
_SLASH: Final = chr(0xDC2F)
_ENCODED_SLASH: Final = re.compile(rb"%2[Ff]")
_BYTE: Final = re.compile(rb"%[0-9A-Fa-f]{2}|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TooLong:
    """The path may be that of a pattern which it is too long for, and is not to be answered as another."""


TOO_LONG: Final = TooLong()


class Matcher:
    """Matches what one ``Segment`` with a regular expression takes, in a bounded number of steps."""

    __slots__ = ("_groups", "_numbers", "_pieces", "_regex", "_single", "order", "pattern")

    def __init__(self, segment: Segment) -> None:
        """Compile ``segment``. ``pattern`` is its regular expression: one for patterns that take the same."""
        self.order = segment.order
        self.pattern = segment.regex
        self._regex = re.compile(segment.regex, re.DOTALL)
        self._groups = [name for name in self._regex.groupindex if name[1:].isdigit()]
        self._numbers = segment.numbers
        self._pieces = segment.pieces
        self._single = "{" not in segment.text  # one parameter and nothing else

    def match(self, raw: bytes, text: str) -> Sequence[bytes] | TooLong | None:
        """Return the raw values of the parameters in ``raw``; None if its ``decoded`` ``text`` does not match."""
        if not self._single:
            parts = text.rsplit("/", len(self._pieces) - 1)
            if len(parts) < len(self._pieces):
                return None
            long = False
            for piece, part in zip(self._pieces, parts, strict=True):
                if not _may_match(piece, part):
                    return None
                long = long or 0 < piece.longest < len(part)
            if long:
                return TOO_LONG
        found = self._regex.fullmatch(text)
        if found is None:
            return None
        for name in self._numbers:
            if found.end(name) - found.start(name) > LONGEST_NUMBER:
                return TOO_LONG
        if self._single:
            return (raw,)
        spans = [found.span(name) for name in self._groups]
        if b"%" not in raw:
            return [_encoded(text[start:end]) for start, end in spans]
        starts = [one.start() for one in _BYTE.finditer(raw)]
        starts.append(len(raw))
        return [raw[starts[len(_encoded(text[:start]))] : starts[len(_encoded(text[:end]))]] for start, end in spans]


def raw_values(pattern: Pattern, path: bytes) -> dict[str, bytes]:
    """Return the parameters as they stand in ``path``, which ``pattern`` has been found for; empty if it does not match."""
    pieces = path[1:].split(b"/")
    values: list[bytes] = []
    for index, segment in enumerate(pattern.segments):
        if segment.parameter:
            raw = b"/".join(pieces[index:]) if segment.tail else pieces[index]
            found = Matcher(segment).match(raw, decoded(raw)) if segment.regex else (raw,)
            if found is None or isinstance(found, TooLong):
                return {}
            values += found
    return dict(zip(pattern.names, values, strict=True))


def decoded(raw: bytes) -> str:
    """Return the text of ``raw`` in which a ``%2F`` is no slash."""
    if b"%" not in raw:
        return raw.decode(errors="surrogateescape")
    parts = _ENCODED_SLASH.split(raw)
    return _SLASH.join([unquote_to_bytes(part).decode(errors="surrogateescape") for part in parts])


def _encoded(text: str) -> bytes:
    """Return the bytes that are ``decoded`` to ``text``."""
    return text.replace(_SLASH, "/").encode(errors="surrogateescape")


def _may_match(piece: Piece, text: str) -> bool:
    """Tell whether ``text`` has all literals of ``piece``, in order: no other text matches, and this is told in one pass."""
    first, last = piece.literals[0], piece.literals[len(piece.literals) - 1]
    if len(piece.literals) == 1:
        return text == first
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for literal in piece.literals[1:-1]:
        at = text.find(literal, at, end)
        if at < 0:
            return False
        at += len(literal)
    return True
