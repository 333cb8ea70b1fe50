"""Other spellings of a path, each with what a service must be lenient about to take it for the same path.

Only what is made up here is decided here: whether the gateway lets a spelling pass, and to which route, its table is asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final
from urllib.parse import unquote

FINAL_SLASH: Final = "ignores a final slash"
CASE: Final = "ignores case"
ENCODED_SLASH: Final = "reads %2F as a slash"
ENCODING: Final = "decodes the path before it matches"
PARAMETERS: Final = "removes ;parameters"
SUFFIX: Final = "takes a suffix for a format"

# Slashes of a path of which all combinations are encoded.
_COMBINED_SLASHES: Final = 4

_ORDER: Final = (FINAL_SLASH, CASE, ENCODED_SLASH, ENCODING, PARAMETERS, SUFFIX)

Part = tuple[str, bool]
"""A piece of a path, and whether it is literal: other cases of a literal mean the same to a service that ignores case."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """A path, and what a service must do to take it for the one that is meant."""

    path: str
    leniencies: tuple[str, ...]


def spellings(parts: Sequence[Part]) -> Iterator[Spelling]:
    """Yield other spellings of the path that ``parts`` make, those that ask for the least leniency first."""
    path = "".join(text for text, _ in parts)
    literal = [is_literal for text, is_literal in parts for _ in text]
    found = {spelled: leniencies(spelled, path) for spelled in _spelled(path, literal) if spelled != path}
    for spelled, needed in sorted(found.items(), key=lambda pair: (len(pair[1]), [*map(_ORDER.index, pair[1])])):
        yield Spelling(spelled, needed)


def _spelled(path: str, literal: Sequence[bool]) -> Iterator[str]:
    for cased in _cases(path, literal):
        for slashed in _final_slashes(cased):
            yield from _encoded_slashes(slashed)
    for begin, end in _segments(path):
        yield f"{path[:begin]}%{ord(path[begin]):02X}{path[begin + 1 :]}"
        yield f"{path[:end]};a=1{path[end:]}"
    if not path.endswith("/"):
        yield f"{path}.json"


def _segments(path: str) -> Iterator[tuple[int, int]]:
    """Yield where each segment begins and ends, of those that are not empty."""
    at = 1
    for segment in path[1:].split("/"):
        if segment:
            yield at, at + len(segment)
        at += len(segment) + 1


def _cases(path: str, literal: Sequence[bool]) -> Iterator[str]:
    """Yield the path, and it with the case of one or all literal segments changed: of a letter, and of all."""
    yield path
    flipped = list(path)
    for begin, end in _segments(path):
        at = next((at for at in range(begin, end) if literal[at] and path[at] != path[at].swapcase()), None)
        if at is not None and not (path[at - 1] == "%" or path[max(at - 2, 0)] == "%"):
            flipped[at] = path[at].swapcase()
            yield path[:at] + flipped[at] + path[at + 1 :]
    yield "".join(flipped)
    if "%" not in path:
        yield "".join(one.upper() if is_literal else one for one, is_literal in zip(path, literal, strict=True))


def _final_slashes(path: str) -> Iterator[str]:
    yield path
    if path.endswith("/"):
        if len(path) > 1:
            yield path[:-1]
    else:
        yield path + "/"


def _encoded_slashes(path: str) -> Iterator[str]:
    """Yield the path, and it with some of its slashes encoded, never the first; of many slashes, neighbours alone."""
    pieces = path[1:].split("/")
    places = range(len(pieces) - 1)
    if len(places) > _COMBINED_SLASHES:
        chosen = [set(range(begin, end)) for begin in places for end in range(begin + 1, len(pieces))]
    else:
        chosen = [set(some) for count in range(1, len(pieces)) for some in combinations(places, count)]
    for encoded in [set[int](), *chosen]:
        yield "/" + "".join(
            piece if number == len(pieces) - 1 else piece + ("%2F" if number in encoded else "/")
            for number, piece in enumerate(pieces)
        )


def leniencies(reached: str, meant: str) -> tuple[str, ...]:
    """Return what a service must be lenient about to take the path ``reached`` for the one that is ``meant``."""
    plain, known = unquote(reached), unquote(meant)
    told = {
        FINAL_SLASH: plain.endswith("/") != known.endswith("/"),
        CASE: _plain(plain) != _plain(known),
        ENCODED_SLASH: _encoded(reached, slashes=True) != _encoded(meant, slashes=True),
        ENCODING: _encoded(reached, slashes=False) != _encoded(meant, slashes=False),
        PARAMETERS: (";" in plain) != (";" in known),
        SUFFIX: plain.rstrip("/").endswith(".json") != known.rstrip("/").endswith(".json"),
    }
    return tuple(leniency for leniency in _ORDER if told[leniency])


def _plain(path: str) -> str:
    """Return the decoded ``path`` without what is no part of its names."""
    return "/".join(segment.partition(";")[0] for segment in path.split("/")).removesuffix(".json").rstrip("/")


def _encoded(path: str, *, slashes: bool) -> int:
    return sum((piece[:2].upper() == "2F") is slashes for piece in path.split("%")[1:])


def folded(path: str) -> str:
    """Return what a service that is lenient in all these ways takes ``path`` for: equal for all of its spellings."""
    return _plain(unquote(path).lower()) or "/"
