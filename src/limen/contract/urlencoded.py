"""Queries and forms as pairs of names and values (``application/x-www-form-urlencoded``), read as FastAPI reads them.

A service may read them differently in two cases, which are found here: it may end a pair at a semicolon, and it may decode
percent-encoding that is malformed or not UTF-8 in a way of its own.
"""

from collections.abc import Container, Generator, Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote_plus, unquote_to_bytes

from limen.contract.violations import violation
from limen.errors import Invalid

# Characters that are decoded in one turn of the event loop, about: as many escapes take 1 ms.
STEP: Final = 8192


class Pair(NamedTuple):
    """A name and its value, decoded, and both as they were sent. With an escape that is no UTF-8, it is not ``valid``."""

    name: str
    value: str
    sent: str
    valid: bool


def parse_pairs(text: str) -> Iterator[Pair]:
    """Yield the pairs of ``text``, which is ASCII, in order; a name without ``=`` has an empty value."""
    return (pair for pair in parse_pairs_in_steps(text) if pair is not None)


def parse_pairs_in_steps(text: str) -> Iterator[Pair | None]:
    """Yield the same pairs, and None between steps, where others have their turn."""
    encoded = "%" in text or "+" in text
    done = 0
    for sent in text.split("&"):
        if not sent:
            continue
        name, _, value = sent.partition("=")
        if encoded:
            name, name_valid = yield from _decode(name)
            value, value_valid = yield from _decode(value)
            yield Pair(name, value, sent, name_valid and value_valid)
        else:
            yield Pair(name, value, sent, valid=True)
        done += len(sent)
        if done >= STEP:
            done = 0
            yield None


def _decode(text: str) -> Generator[None, None, tuple[str, bool]]:
    """Return the decoded ``text``, and whether each escape in it is valid."""
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


def group_values(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    """Return the values of each name."""
    values: dict[str, list[str]] = {}
    for pair in pairs:
        values.setdefault(pair.name, []).append(pair.value)
    return values


def ambiguous_names(pairs: Iterable[Pair], names: Container[str], at: str) -> Iterator[Invalid | None]:
    """Yield a violation for each of ``names`` that a service could read differently; ``at`` is their location.

    None is yielded between steps, where others have their turn.
    """
    reported: set[str] = set()
    done = 0
    for pair in pairs:
        if ";" in pair.sent:
            for part in pair.sent.split(";"):
                # No declared name is as long as what is decoded in one step.
                sent = part.partition("=")[0][:STEP]
                name = unquote_plus(sent) if "%" in sent or "+" in sent else sent
                if name in names and name not in reported:
                    reported.add(name)
                    yield violation(
                        (at, name), "Some services end a value at a semicolon: write it as %3B", "ambiguous"
                    )
                done += len(sent)
                if done >= STEP:
                    done = 0
                    yield None
        if not pair.valid and pair.name in names and pair.name not in reported:
            reported.add(pair.name)
            yield violation((at, pair.name), "Input should be UTF-8, percent-encoded", "bad_encoding")
