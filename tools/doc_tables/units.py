"""How numbers are written in the tables: sizes, times and counts. What is not bounded is "none"."""

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
