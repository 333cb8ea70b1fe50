"""What JSON leaves open, and two readers could read differently: repeated names, and numbers that are not finite.

RFC 8259 section 4 leaves open which of two members with one name counts, and section 6 has no NaN and no Infinity, which
Python and pydantic read and write all the same. None of these passes the gateway.
"""

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, Final, cast

from limen.contract.violations import MOST_LISTED, Violations, violation
from limen.errors import Invalid

# What can be a number beyond those of floats: an exponent of three digits, or as many digits as such a number has.
_EXPONENT: Final = re.compile(rb"[eE][+\d]\d\d")
_DIGITS: Final = bytes(ord("1") if chr(byte).isdecimal() and byte < 128 else ord(" ") for byte in range(256))
_LONG: Final = 300
_MANY_DIGITS: Final = b"1" * _LONG

# Values that are looked at between two moments in which others have their turn.
_STEP: Final = 2048

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


def unclear(scan: Scan, content: bytes) -> Generator[None, None, Violations | None]:
    """Return what in the JSON ``content`` another reader could read otherwise; others have their turn at each yield."""
    if scan.repeated is not None:
        return Violations(
            (violation(("body", scan.repeated), "An object has one member of each name", "repeated_name"),)
        )
    if scan.whole and not scan.constant and not _may_be_beyond(content):
        return None
    found: list[Invalid] = []
    try:
        value: object = json.loads(content, parse_int=_integer)
    except (ValueError, RecursionError):
        return Violations((Invalid(("body",), "Input should be JSON", "json_invalid"),))
    yield
    for looked, one in enumerate(_looked_at(value, ("body",))):
        if one is not None:
            found.append(one)
        elif looked % _STEP == _STEP - 1:
            yield
        if len(found) == MOST_LISTED:
            break
    return Violations(tuple(found)) if found else None


def _integer(text: str) -> float | None:
    """Return the number, where it may be larger than a float holds; others are of no interest."""
    return float(text) if len(text) > _LONG else None


def not_finite(value: object, at: tuple[str | int, ...]) -> Iterator[Invalid]:
    """Yield the places of numbers that JSON cannot carry."""
    return (one for one in _looked_at(value, at) if one is not None)


def _looked_at(value: object, at: tuple[str | int, ...]) -> Iterator[Invalid | None]:
    """Yield for all that may hold a number what is wrong with it."""
    # Of each that is left, the path to it as pairs, the last step first: to copy paths would take as long as they are deep.
    left: list[tuple[object, _Path]] = [(value, None)]
    while left:
        one, path = left.pop()
        yield None
        if isinstance(one, float):
            if not isfinite(one):
                yield violation((*at, *_steps(path)), "Input should be a finite number", "finite_number")
        elif isinstance(one, Mapping):
            items = cast("Mapping[object, object]", one).items()
            within = [
                (item, (name if isinstance(name, int) else str(name), path)) for name, item in items if _may_hold(item)
            ]
            left += reversed(within)
        elif isinstance(one, list | tuple | set | frozenset):
            several = enumerate(cast("Sequence[object]", one))
            left += reversed([(item, (index, path)) for index, item in several if _may_hold(item)])


_Path = tuple[str | int, "_Path"] | None


def _may_hold(item: object) -> bool:
    return item is not None and type(item) not in _PLAIN


def _steps(path: "_Path") -> list[str | int]:
    found: list[str | int] = []
    while path is not None:
        step, path = path
        found.append(step)
    return found[::-1]


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
    """Tell whether a number may be larger than floats are."""
    return _MANY_DIGITS in content.translate(_DIGITS) or _EXPONENT.search(content) is not None
