"""Queries and forms as pairs of names and values (``application/x-www-form-urlencoded``), read as FastAPI reads them.

A service may read them differently in two cases, which are found here: it may end a pair at a semicolon, and it may decode
escapes that are not UTF-8, or not whole, in a way of its own.
"""

import re
from collections.abc import Container, Iterable, Iterator
from typing import Final
from urllib.parse import unquote_plus, unquote_to_bytes

from limen.errors import Invalid

Pair = tuple[str, str, str]
"""A name and its value, decoded, and both as they were sent."""

_NO_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def pairs(text: str) -> Iterator[Pair]:
    """Yield the pairs of ``text``, which is ASCII, in order; a name without ``=`` has an empty value."""
    encoded = "%" in text or "+" in text
    for sent in text.split("&"):
        if sent:
            name, _, value = sent.partition("=")
            yield (unquote_plus(name), unquote_plus(value), sent) if encoded else (name, value, sent)


def grouped(several: Iterable[Pair]) -> dict[str, list[str]]:
    """Return the values of each name."""
    found: dict[str, list[str]] = {}
    for name, value, _ in several:
        found.setdefault(name, []).append(value)
    return found


def unclear(several: Iterable[Pair], names: Container[str], at: str) -> Iterator[Invalid]:
    """Yield the pairs among ``names`` that could be read in another way; ``at`` is where they stand."""
    for name, value, sent in several:
        if ";" in sent:
            for part in sent.split(";"):
                other = unquote_plus(part.partition("=")[0])
                if other in names:
                    yield Invalid((at, other), "Some services end a value at a semicolon: write it as %3B", "ambiguous")
        if "%" in sent and name in names and (_NO_ESCAPE.search(sent) or ("\ufffd" in value and not _is_utf8(sent))):
            yield Invalid((at, name), "Input should be UTF-8, percent-encoded", "bad_encoding")


def _is_utf8(sent: str) -> bool:
    try:
        unquote_to_bytes(sent).decode()
    except UnicodeDecodeError:
        return False
    return True
