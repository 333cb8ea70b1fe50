"""What two JSON readers could read differently: repeated names, and numbers that are not finite. None passes the gateway.

RFC 8259 section 4 leaves open which of two members with one name counts. Section 6 has no NaN and no Infinity, which Python
and pydantic read and write all the same.
"""

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, Final, cast

from limen.contract.violations import MOST_LISTED, Violations, violation
from limen.errors import Invalid

# Only these numbers can be beyond the range of floats: one with an exponent of three digits, and one with so many digits.
_LARGE_EXPONENT: Final = re.compile(rb"[eE][+\d]\d\d")
_MANY_DIGITS: Final = 300
# Turns every digit into "1", so that a run of digits can be searched for.
_DIGITS_AS_ONES: Final = bytes(ord("1") if chr(byte).isdecimal() and byte < 128 else ord(" ") for byte in range(256))
_RUN_OF_ONES: Final = b"1" * _MANY_DIGITS

# Values that are looked at in one turn of the event loop.
_STEP: Final = 2048

# Types of values that hold no float.
_FLOATLESS: Final = frozenset((str, int, bool))


class JsonScan:
    """What a JSON text holds, whatever its values are.

    ``repeated`` is a name that comes twice in one object. ``has_constant`` tells of NaN and Infinity. ``largest`` is how many
    members the largest object has. ``valid`` is False for a text that is not JSON, or nested too deeply.
    """

    __slots__ = ("has_constant", "largest", "repeated", "valid")

    def __init__(self) -> None:
        """Begin with an empty text."""
        self.repeated: str | None = None
        self.has_constant = False
        self.largest = 0
        self.valid = True

    def add_object(self, pairs: list[tuple[str, Any]]) -> None:
        """Look at the members of one object."""
        count = len(pairs)
        if count > self.largest:
            self.largest = count
        if count > 1 and self.repeated is None and len({name for name, _ in pairs}) != count:
            known: set[str] = set()
            for name, _ in pairs:
                if name in known:
                    self.repeated = name
                    return
                known.add(name)


class _Scanner:
    """Python's JSON decoder with hooks. There is one: to make it takes longer than to read a small text."""

    def __init__(self) -> None:
        self._scan = JsonScan()
        # Numbers stay text: nobody needs their values, and so their digits have no bound.
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._add_object, parse_constant=self._add_constant, parse_float=str, parse_int=str
        )

    def scan(self, content: bytes) -> JsonScan:
        scan = self._scan = JsonScan()
        try:
            self._decoder.decode(content.decode())
        except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
            scan.valid = False
        return scan

    def _add_object(self, pairs: list[tuple[str, Any]]) -> None:
        self._scan.add_object(pairs)

    def _add_constant(self, _: str) -> None:
        self._scan.has_constant = True


_SCANNER: Final = _Scanner()


def scan_json(content: bytes) -> JsonScan:
    """Return what the text ``content`` holds."""
    return _SCANNER.scan(content)


def find_ambiguity(scan: JsonScan, content: bytes) -> Generator[None, None, Violations | None]:
    """Return what another reader could read differently in the JSON ``content``. Others have their turn at each yield."""
    if scan.repeated is not None:
        return Violations(
            (violation(("body", scan.repeated), "An object has one member of each name", "repeated_name"),)
        )
    if scan.valid and not scan.has_constant and not _may_overflow(content):
        return None
    violations: list[Invalid] = []
    try:
        value: object = json.loads(content, parse_int=_as_float)
    except (ValueError, RecursionError):
        return Violations((Invalid(("body",), "Input should be JSON", "json_invalid"),))
    yield
    for count, one in enumerate(_walk(value, ("body",))):
        if one is not None:
            violations.append(one)
        elif count % _STEP == _STEP - 1:
            yield
        if len(violations) == MOST_LISTED:
            break
    return Violations(tuple(violations)) if violations else None


def _as_float(text: str) -> float | None:
    """Return the integer ``text`` as a float, if it may be beyond the range of floats. Nobody needs the others."""
    return float(text) if len(text) > _MANY_DIGITS else None


def not_finite(value: object, at: tuple[str | int, ...]) -> Iterator[Invalid]:
    """Yield a violation for each number within ``value`` that JSON has no text for."""
    return (one for one in _walk(value, at) if one is not None)


def _walk(value: object, at: tuple[str | int, ...]) -> Iterator[Invalid | None]:
    """Yield None for each value that may hold a float, and then a violation if it is one that is not finite."""
    # The path to each value is a linked list, its last step first: copies of paths would take as long as they are deep.
    left: list[tuple[object, _Path]] = [(value, None)]
    while left:
        one, path = left.pop()
        yield None
        if isinstance(one, float):
            if not isfinite(one):
                yield violation((*at, *_steps(path)), "Input should be a finite number", "finite_number")
        elif isinstance(one, Mapping):
            items = cast("Mapping[object, object]", one).items()
            inner = [
                (item, (name if isinstance(name, int) else str(name), path))
                for name, item in items
                if _may_hold_float(item)
            ]
            left += reversed(inner)
        elif isinstance(one, list | tuple | set | frozenset):
            several = enumerate(cast("Sequence[object]", one))
            left += reversed([(item, (index, path)) for index, item in several if _may_hold_float(item)])


_Path = tuple[str | int, "_Path"] | None


def _may_hold_float(item: object) -> bool:
    return item is not None and type(item) not in _FLOATLESS


def _steps(path: "_Path") -> list[str | int]:
    steps: list[str | int] = []
    while path is not None:
        step, path = path
        steps.append(step)
    return steps[::-1]


def is_standard_json(content: bytes) -> bool:
    """Tell whether the JSON that pydantic wrote has no NaN and no Infinity outside its strings."""
    try:
        json.loads(content, parse_constant=refuse_constant, parse_int=float)  # int has a bound on digits, JSON has none
    except ValueError:
        return False
    return True


def refuse_constant(name: str) -> object:
    """Refuse NaN and Infinity: for ``parse_constant`` of Python's json. Raises ValueError."""
    raise ValueError(f"{name} is no number of JSON's")


def _may_overflow(content: bytes) -> bool:
    """Tell whether a number may be beyond the range of floats."""
    return _RUN_OF_ONES in content.translate(_DIGITS_AS_ONES) or _LARGE_EXPONENT.search(content) is not None
