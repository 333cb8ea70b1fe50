"""Patterns of paths, in the syntax of Starlette: ``/users/{id:int}``, ``/reports/{name}.csv``, ``/files/{path:path}``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

CONVERTERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "str": "[^/]+",
        "int": "[0-9]+",
        "float": r"[0-9]+(\.[0-9]+)?",
        "uuid": "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}",
        "path": ".*",
    }
)
"""Starlette's own converters, by name: what a parameter may hold, as a regular expression over decoded text."""

# Bytes of a segment that two parameters of any text share. Where one ends and the other begins is found by trying: the square
# of this many steps, at worst.
LONGEST_SHARED: Final = 256
MOST_SHARING: Final = 2

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([A-Za-z_][A-Za-z0-9_]*))?\}")
_PLAIN = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@]*")

# The more specific first, where several take the same text. Then come text around parameters, and other converters.
_ORDER = ("uuid", "int", "float")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a pattern: literal text, a parameter, or (``tail``) the rest of the path.

    ``regex`` is what the decoded segment has to match, or the decoded rest, with a group ``_0``, ``_1`` for each parameter;
    empty for literal text, and where anything fits. ``rank`` orders segments with one: the lower is asked first.
    """

    text: str
    parameter: bool = False
    tail: bool = False
    regex: str = ""
    rank: int = 0
    longest: int = 0


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed path pattern; ``names`` are those of its parameters, in order."""

    path: str
    segments: tuple[Segment, ...]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, path: str, converters: Mapping[str, str] = CONVERTERS) -> "Pattern":
        """Parse ``path``; raises ValueError that says what is wrong with it. ``converters`` are those that there are."""
        if not path.startswith("/"):
            raise ValueError(f"the path {path!r} must begin with '/'")
        names: list[str] = []
        segments: list[Segment] = []
        pieces = path[1:].split("/")
        for index, piece in enumerate(pieces):
            last = index == len(pieces) - 1
            if piece == "" and last:
                segments.append(Segment(""))
                break
            rest = "/".join(pieces[index:])
            if any(one[2] == "path" for one in _PLACEHOLDER.finditer(piece)):
                segments.append(_tail(path, rest, names, converters))
                break
            segments.append(_segment(path, piece, names, converters))
        if len(set(names)) != len(names):
            raise ValueError(f"the path {path!r} names a parameter twice")
        return cls(path, tuple(segments), tuple(names))


def _segment(path: str, piece: str, names: list[str], converters: Mapping[str, str]) -> Segment:
    """Parse one segment; add the names of its parameters to ``names``."""
    only = _PLACEHOLDER.fullmatch(piece)
    if only is None and "{" not in piece and "}" not in piece:
        if not piece or not _PLAIN.fullmatch(piece) or piece in (".", ".."):
            raise ValueError(f"the path {path!r}: the segment {piece!r} must be plain text or have {{parameters}}")
        return Segment(piece)
    regex = _regex(path, piece, names, converters)
    if only is None:
        free = sum(one[2] not in _ORDER for one in _PLACEHOLDER.finditer(piece))
        rank = len(_ORDER) + 1 + free
        return Segment(piece, parameter=True, regex=regex, rank=rank, longest=_longest(path, piece))
    converter = only[2] or "str"
    if converter == "str":
        return Segment(only[1], parameter=True)
    rank = 1 + (_ORDER.index(converter) if converter in _ORDER else len(_ORDER) + MOST_SHARING)
    return Segment(only[1], parameter=True, regex=regex, rank=rank)


def _tail(path: str, rest: str, names: list[str], converters: Mapping[str, str]) -> Segment:
    """Parse what is left of the pattern from a segment on that may hold slashes."""
    if "//" in rest:
        raise ValueError(f"the path {path!r}: the segment '' must be plain text or have {{parameters}}")
    only = _PLACEHOLDER.fullmatch(rest)
    regex = _regex(path, rest, names, converters)
    if only is not None:
        return Segment(only[1], parameter=True, tail=True)
    if sum(one[2] == "path" for one in _PLACEHOLDER.finditer(rest)) > 1:
        raise ValueError(f"the path {path!r}: of two {{:path}} nobody can tell where one ends; leave one")
    return Segment(rest, parameter=True, tail=True, regex=regex, longest=_longest(path, rest))


def _longest(path: str, text: str) -> int:
    """Return the bound of what ``text`` is matched with; raises ValueError for too many parameters in one segment."""
    shared = max(sum(one[2] not in _ORDER for one in _PLACEHOLDER.finditer(piece)) for piece in text.split("/"))
    if shared > MOST_SHARING:
        raise ValueError(f"the path {path!r}: at most two parameters of any text may share a segment of {text!r}")
    return LONGEST_SHARED if shared == MOST_SHARING else 0


def _regex(path: str, text: str, names: list[str], converters: Mapping[str, str]) -> str:
    parts: list[str] = []
    at = 0
    for one in _PLACEHOLDER.finditer(text):
        parts.append(_literal(path, text[at : one.start()]))
        converter = one[2] or "str"
        if converter not in converters:
            raise ValueError(f"the path {path!r} uses {{{one[1]}:{converter}}}; known: {sorted(converters)}")
        # By number: two patterns are equal whatever they call their parameters. A converter may have groups of its own.
        parts.append(f"(?P<_{len(parts) // 2}>{converters[converter]})")
        names.append(one[1])
        at = one.end()
    parts.append(_literal(path, text[at:]))
    return "".join(parts)


def _literal(path: str, text: str) -> str:
    if not all(_PLAIN.fullmatch(piece) for piece in text.split("/")):
        raise ValueError(f"the path {path!r}: {text!r} must be plain text or {{parameters}}")
    return re.escape(text)
