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

# Parameters of one segment of which only trying tells where one ends and the next begins, and the characters of a segment in
# which they may be: that takes the square of so many steps, at worst.
MOST_SHARING: Final = 2
LONGEST_SHARED: Final = 256

# Digits of a number. Python converts no more than 4,300, and no service means so many.
LONGEST_NUMBER: Final = 128

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([A-Za-z_][A-Za-z0-9_]*))?\}")
_PLAIN = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@]*")

# The more specific first, where several take the same text. Then come text around parameters, and other converters.
_ORDER = ("uuid", "int", "float")
_NUMBERS = frozenset(("int", "float"))

# The characters that these hold. Any other converter may hold any.
_ALPHABETS: Final[Mapping[str, str]] = MappingProxyType({"int": "0123456789", "float": "0123456789."})


@dataclass(frozen=True, slots=True)
class Piece:
    """What a segment with parameters has around them: one more of ``literals`` than parameters.

    ``longest`` bounds the segment in characters, where parameters share it; 0 is no bound.
    """

    literals: tuple[str, ...]
    longest: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a pattern: literal text, a parameter, or (``tail``) the rest of the path.

    ``regex`` is what the decoded segment has to match, or the decoded rest, with a group ``_0``, ``_1`` for each parameter;
    empty for literal text, and where anything fits. ``order`` is that of segments with one: the lowest is asked first.
    ``pieces`` are the parts of it, of which the first may hold slashes; ``numbers`` the groups of integers and floats.
    """

    text: str
    parameter: bool = False
    tail: bool = False
    regex: str = ""
    order: tuple[int, ...] = ()
    pieces: tuple[Piece, ...] = ()
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed path pattern; ``names`` are those of its parameters, in order."""

    path: str
    segments: tuple[Segment, ...]
    names: tuple[str, ...]

    @property
    def literals(self) -> tuple[str, ...]:
        """The text around the parameters: one more than ``names``."""
        return tuple(_PLACEHOLDER.split(self.path)[::3])

    @property
    def rest(self) -> str | None:
        """The name of the parameter that may hold slashes; None if no one may."""
        return next((one[1] for one in _PLACEHOLDER.finditer(self.path) if one[2] == "path"), None)

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
    if only is not None and only[2] in (None, "str"):
        names.append(only[1])
        return Segment(only[1], parameter=True)
    return _special(path, piece, names, converters)


def _tail(path: str, rest: str, names: list[str], converters: Mapping[str, str]) -> Segment:
    """Parse what is left of the pattern from a segment on that may hold slashes."""
    if "//" in rest:
        raise ValueError(f"the path {path!r}: the segment '' must be plain text or have {{parameters}}")
    only = _PLACEHOLDER.fullmatch(rest)
    if only is not None:
        names.append(only[1])
        return Segment(only[1], parameter=True, tail=True)
    if sum(one[2] == "path" for one in _PLACEHOLDER.finditer(rest)) > 1:
        raise ValueError(f"the path {path!r}: of two {{:path}} nobody can tell where one ends; leave one")
    return _special(path, rest, names, converters, tail=True)


def _special(path: str, text: str, names: list[str], converters: Mapping[str, str], *, tail: bool = False) -> Segment:
    """Parse a segment, or a ``tail``, that has to match."""
    found = list(_PLACEHOLDER.finditer(text))
    kinds = [one[2] or "str" for one in found]
    for one, kind in zip(found, kinds, strict=True):
        if kind not in converters:
            raise ValueError(f"the path {path!r} uses {{{one[1]}:{kind}}}; known: {sorted(converters)}")
        names.append(one[1])
    pieces = tuple(_piece(path, piece) for piece in text.split("/"))
    only = _PLACEHOLDER.fullmatch(text)
    if only is not None and kinds[0] in _ORDER:
        order = (0, _ORDER.index(kinds[0]))
    else:
        literal = len(pieces) - 1 + sum(len(one) for piece in pieces for one in piece.literals)
        order = (1, -literal, sum(kind not in _ORDER for kind in kinds))
    return Segment(
        text if only is None else only[1],
        parameter=True,
        tail=tail,
        regex=_regex(pieces, [converters[kind] for kind in kinds]),
        order=order,
        pieces=pieces,
        numbers=tuple(f"_{number}" for number, kind in enumerate(kinds) if kind in _NUMBERS),
    )


def _piece(path: str, text: str) -> Piece:
    """Parse what is between two slashes; raises ValueError for too many parameters that share it."""
    # A split has the groups between: the name and the converter of each.
    literals = tuple(_PLACEHOLDER.split(text)[::3])
    for one in literals:
        if not _PLAIN.fullmatch(one) or text in (".", ".."):
            raise ValueError(f"the path {path!r}: {one!r} must be plain text or {{parameters}}")
    kinds = [one[2] or "str" for one in _PLACEHOLDER.finditer(text)]
    if _sharing(kinds, literals) >= MOST_SHARING:
        raise ValueError(
            f"the path {path!r}: of more than {MOST_SHARING} parameters of {text!r} only trying tells where one ends and the "
            "next begins; put text between them that the first cannot hold, as '-' between integers, or use fewer"
        )
    return Piece(literals, LONGEST_SHARED if _sharing(kinds, literals) else 0)


def _sharing(kinds: list[str], literals: tuple[str, ...]) -> int:
    """Count the parameters that begin where only trying tells, of a segment with ``literals`` around them.

    What a parameter cannot hold ends it where it first stands. A UUID has so few forms that it counts for nothing.
    """
    count = 0
    open_since: list[str | None] = []
    for kind, after in zip(kinds, literals[1:], strict=True):
        if kind == "uuid":
            continue
        count += bool(open_since)
        open_since.append(_ALPHABETS.get(kind))
        if any(all(held is not None and one not in held for held in open_since) for one in after):
            open_since.clear()
    return count


def _regex(pieces: tuple[Piece, ...], converters: list[str]) -> str:
    parts: list[str] = []
    number = 0
    for index, piece in enumerate(pieces):
        if index:
            parts.append("/")
        parts.append(re.escape(piece.literals[0]))
        for literal in piece.literals[1:]:
            # By number: two patterns are equal whatever they call their parameters. A converter may have groups of its own.
            parts += f"(?P<_{number}>{converters[number]})", re.escape(literal)
            number += 1
        if index == 0 and len(pieces) > 1:
            # As many slashes follow as in the pattern, so that the rest is tried at one place only.
            parts.append(f"(?=(?:/[^/]*+){{{len(pieces) - 1}}}\\Z)")
    return "".join(parts)
