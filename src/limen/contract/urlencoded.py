"""Queries and forms as pairs of names and values (``application/x-www-form-urlencoded``), read as FastAPI reads them.

A service may read them differently in two cases, which are found here: it may end a pair at a semicolon, and it may decode
escapes that are not UTF-8, or not whole, in a way of its own.
"""

from collections.abc import Container, Generator, Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote_plus, unquote_to_bytes

from limen.contract.violations import violation
from limen.errors import Invalid

# Characters that are decoded in one turn of the event loop, about: as many escapes take 1 ms.
STEP: Final = 8192


class Pair(NamedTuple):
    """A name and its value, decoded, and both as they were sent; ``whole`` tells that each escape is one, and all UTF-8."""

    name: str
    value: str
    sent: str
    whole: bool


def pairs(text: str) -> Iterator[Pair]:
    """Yield the pairs of ``text``, which is ASCII, in order; a name without ``=`` has an empty value."""
    return (pair for pair in in_steps(text) if pair is not None)


def in_steps(text: str) -> Iterator[Pair | None]:
    """Yield the same, and None wherever others should have their turn."""
    encoded = "%" in text or "+" in text
    done = 0
    for sent in text.split("&"):
        if not sent:
            continue
        name, _, value = sent.partition("=")
        if encoded:
            name, name_is_whole = yield from _decoded(name)
            value, value_is_whole = yield from _decoded(value)
            yield Pair(name, value, sent, name_is_whole and value_is_whole)
        else:
            yield Pair(name, value, sent, whole=True)
        done += len(sent)
        if done >= STEP:
            done = 0
            yield None


def _decoded(text: str) -> Generator[None, None, tuple[str, bool]]:
    text = text.replace("+", " ")
    escapes = text.count("%")
    if not escapes:
        return text, True
    parts: list[bytes] = []
    start, size = 0, len(text)
    while start < size:
        end = start + STEP
        if start:
            yield
        if end < size and (cut := text.find("%", end - 2, end)) > 0:
            end = cut  # an escape stays in one piece
        parts.append(unquote_to_bytes(text[start:end]))
        start = end
    content = b"".join(parts)
    try:
        return content.decode(), size - len(content) == 2 * escapes
    except UnicodeDecodeError:
        return content.decode(errors="replace"), False


def grouped(several: Iterable[Pair]) -> dict[str, list[str]]:
    """Return the values of each name."""
    found: dict[str, list[str]] = {}
    for pair in several:
        found.setdefault(pair.name, []).append(pair.value)
    return found


def unclear(several: Iterable[Pair], names: Container[str], at: str) -> Iterator[Invalid | None]:
    """Yield those of ``names`` that could be read in another way, each once; ``at`` is where they stand.

    None comes wherever others should have their turn.
    """
    told: set[str] = set()
    done = 0
    for pair in several:
        if ";" in pair.sent:
            for part in pair.sent.split(";"):
                # No declared name is as long as what is decoded in one step.
                sent = part.partition("=")[0][:STEP]
                other = unquote_plus(sent) if "%" in sent or "+" in sent else sent
                if other in names and other not in told:
                    told.add(other)
                    yield violation(
                        (at, other), "Some services end a value at a semicolon: write it as %3B", "ambiguous"
                    )
                done += len(sent)
                if done >= STEP:
                    done = 0
                    yield None
        if not pair.whole and pair.name in names and pair.name not in told:
            told.add(pair.name)
            yield violation((at, pair.name), "Input should be UTF-8, percent-encoded", "bad_encoding")
