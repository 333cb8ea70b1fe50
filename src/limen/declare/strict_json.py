"""What JSON leaves open, and two readers could read differently: repeated names, and numbers that are not finite.

RFC 8259 section 4 leaves open which of two members with one name counts, and section 6 has no NaN and no Infinity, which
Python and pydantic read and write all the same. None of these passes the gateway.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import isfinite
from typing import Any, Final, cast

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from limen.declare.misfits import MOST, Misfits, misfit
from limen.errors import Invalid

# What can be a number beyond those of floats: an exponent of three digits, or as many digits as such a number has.
_EXPONENT: Final = re.compile(rb"e[+\d]\d\d")
_DIGITS: Final = bytes(ord("1") if chr(byte).isdecimal() and byte < 128 else ord(" ") for byte in range(256))
_MANY_DIGITS: Final = b"1" * 300

# Types of values that hold no number that is not finite.
_PLAIN: Final = frozenset((str, int, bool))


class Scan:
    """What there is to be said of a JSON text, whatever its values are.

    ``repeated`` is a name that comes twice in one object, ``constant`` tells of a number that JSON does not have, and
    ``largest`` is how many members the largest object has. ``whole`` False is a text that is no JSON, or nested too deeply.
    """

    __slots__ = ("constant", "largest", "repeated", "whole")

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.repeated: str | None = None
        self.constant = False
        self.largest = 0
        self.whole = True

    def members(self, pairs: list[tuple[str, Any]]) -> None:
        """Look at one object."""
        count = len(pairs)
        if count > self.largest:
            self.largest = count
        if count > 1 and self.repeated is None and len({name for name, _ in pairs}) != count:
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    self.repeated = name
                    return
                seen.add(name)


class _Scanner:
    """Python's own reader, told what to do once: to make one takes longer than to read a small text."""

    def __init__(self) -> None:
        self._scan = Scan()
        # Numbers as text: nothing is computed that nobody looks at, and their digits have no bound here.
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._members, parse_constant=self._constant, parse_float=str, parse_int=str
        )

    def scanned(self, content: bytes) -> Scan:
        scan = self._scan = Scan()
        try:
            self._decoder.decode(content.decode())
        except (ValueError, RecursionError):  # of Unicode, too
            scan.whole = False
        return scan

    def _members(self, pairs: list[tuple[str, Any]]) -> None:
        self._scan.members(pairs)

    def _constant(self, _: str) -> None:
        self._scan.constant = True


_SCANNER: Final = _Scanner()


def scanned(content: bytes) -> Scan:
    """Return what is to be said of ``content`` as a text."""
    return _SCANNER.scanned(content)


def unclear(scan: Scan, content: bytes, adapter: TypeAdapter[object], value: object) -> Misfits | None:
    """Return what in the JSON ``content`` another reader could read otherwise; ``adapter`` has read ``value`` from it."""
    if scan.repeated is not None:
        return Misfits((misfit(("body", scan.repeated), "An object has one member of each name", "repeated_name"),))
    if (scan.constant or _may_be_beyond(content)) and (
        found := tuple(islice(not_finite(_plain(adapter, value), ("body",)), MOST))
    ):
        return Misfits(found)
    if scan.constant or not scan.whole:
        return Misfits((Invalid(("body",), "Input should be JSON, whose numbers are finite", "finite_number"),))
    return None


def not_finite(value: object, at: tuple[str | int, ...]) -> Iterator[Invalid]:
    """Yield the places of numbers that JSON cannot carry."""
    pairs: Iterable[tuple[object, object]]
    if isinstance(value, float):
        pairs = ()
        if not isfinite(value):
            yield misfit(at, "Input should be a finite number", "finite_number")
    elif isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
    elif isinstance(value, list | tuple | set | frozenset):
        pairs = enumerate(cast("Sequence[object]", value))
    else:
        pairs = ()
    for name, item in pairs:
        # Most of a document are these: a generator for each would take five times as long.
        if item is not None and type(item) not in _PLAIN:
            yield from not_finite(item, (*at, name if isinstance(name, int) else str(name)))


def is_json(content: bytes) -> bool:
    """Tell whether no constant of Python's is in what pydantic wrote, outside its strings."""
    try:
        json.loads(content, parse_constant=no_constant, parse_int=float)  # int is bounded in its digits, JSON is not
    except ValueError:
        return False
    return True


def no_constant(name: str) -> object:
    """Refuse NaN and Infinity, which Python's json reads and writes: for its ``parse_constant``. Raises ValueError."""
    raise ValueError(f"{name} is no number of JSON's")


def _may_be_beyond(content: bytes) -> bool:
    """Tell whether a number may be too large, or a word stand for one that is not finite."""
    low = content.lower()
    return (
        b"nan" in low
        or b"inf" in low
        or _MANY_DIGITS in content.translate(_DIGITS)
        or _EXPONENT.search(low) is not None
    )


def _plain(adapter: TypeAdapter[object], value: object) -> object:
    try:
        return adapter.dump_python(value, by_alias=True, warnings=False)
    except PydanticSerializationError:
        return None  # a serializer of the user's: what is in the text decides then
