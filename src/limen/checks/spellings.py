"""Other spellings of a path, each with what a service must be lenient about to take it for the same path.

Only what is made up here is decided here: whether the gateway lets a spelling pass, and to which route, its table is asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

FINAL_SLASH: Final = "ignores a final slash"
CASE: Final = "ignores case"
ENCODED_SLASH: Final = "reads %2F as a slash"
ENCODING: Final = "decodes the path before it matches"
PARAMETERS: Final = "removes ;parameters"
SUFFIX: Final = "takes a suffix for a format"

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
    found: dict[str, tuple[str, ...]] = {path: ()}
    for spelled, leniencies in sorted(_spelled(path, literal), key=_rank):
        if spelled not in found:
            found[spelled] = leniencies
            yield Spelling(spelled, leniencies)


def _rank(spelled: tuple[str, tuple[str, ...]]) -> tuple[int, list[int]]:
    return len(spelled[1]), [_ORDER.index(one) for one in spelled[1]]


def _spelled(path: str, literal: Sequence[bool]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for cased in _cases(path, literal):
        case = () if cased == path else (CASE,)
        for slashed in _final_slashes(cased):
            slash = () if slashed == cased else (FINAL_SLASH,)
            for encoded in _encoded_slashes(slashed):
                yield encoded, (*case, *slash, *(() if encoded == slashed else (ENCODED_SLASH,)))
    for begin, end in _segments(path):
        yield f"{path[:begin]}%{ord(path[begin]):02X}{path[begin + 1 :]}", (ENCODING,)
        yield f"{path[:end]};a=1{path[end:]}", (PARAMETERS,)
    if not path.endswith("/"):
        yield f"{path}.json", (SUFFIX,)


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
    """Yield the path, and it with one or all slashes encoded but the first."""
    yield path
    places = [at for at in range(1, len(path)) if path[at] == "/"]
    for at in places:
        yield f"{path[:at]}%2F{path[at + 1 :]}"
    if len(places) > 1:
        yield path[0] + path[1:].replace("/", "%2F")


def folded(path: str) -> str:
    """Return what a service that is lenient in all these ways takes ``path`` for: equal for all of its spellings."""
    segments = [segment.partition(";")[0] for segment in unquote(path).split("/")]
    return "/".join(segments).lower().removesuffix(".json").rstrip("/") or "/"
