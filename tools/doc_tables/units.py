"""How numbers are written in the tables: sizes, times, counts and shares. What is not bounded is "none"."""

from collections.abc import Callable
from datetime import timedelta

Unit = Callable[[object], str]

NONE = "none"
_KiB, _MiB = 1024, 1024 * 1024


def count(value: object) -> str:
    """Write a number of things."""
    if value is None:
        return NONE
    assert isinstance(value, int)
    return f"{value:,}"


def size(value: object) -> str:
    """Write a number of bytes."""
    if value is None:
        return NONE
    assert isinstance(value, int)
    if value % _MiB == 0:
        return f"{value // _MiB:,} MiB"
    return f"{value // _KiB:,} KiB" if value % _KiB == 0 else f"{value:,} bytes"


def seconds(value: object) -> str:
    """Write a time; long ones that are whole are written in minutes, hours or days."""
    if value is None:
        return NONE
    if isinstance(value, timedelta):
        value = value.total_seconds()
    assert isinstance(value, int | float)
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if value > unit and value % unit == 0:
            return f"{value / unit:g} {name}"
    return f"{value:g} s"


def share(value: object) -> str:
    """Write a part of a whole, which is 1."""
    if value is None:
        return NONE
    assert isinstance(value, int | float)
    return f"{value * 100:g} %"


def factor(value: object) -> str:
    """Write how many times as much."""
    assert isinstance(value, int | float)
    return f"{value:g} times"
