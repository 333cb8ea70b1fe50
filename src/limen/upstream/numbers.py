"""The checks of numbers in a declaration: a wrong one is refused where it is written."""

from collections.abc import Sequence
from math import isfinite
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether ``value`` is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: float) -> bool:
    """Tell whether ``value`` is finite, and no integer that is too large to reckon with."""
    try:
        return isfinite(value)
    except OverflowError:
        return False


def is_list(value: object) -> bool:
    """Tell whether ``value`` is a list of something; text and bytes are none."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def check_statuses(kind: str, statuses: Sequence[int], *, least: int) -> None:
    """Refuse what is no list of statuses from ``least`` to 599; ``kind`` is the declaration that has them."""
    if not is_list(statuses):
        raise TypeError(f"{kind}(statuses={statuses!r}): write a list, such as [503]")
    for status in statuses:
        check_number(f"{kind}(statuses=...{status!r}...)", status, least=least, most=599, whole=True)


def check_number(
    given: str,
    value: object,
    *,
    least: float = 0.0,
    most: float | None = None,
    more_than: bool = False,
    whole: bool = False,
) -> None:
    """Refuse what is no finite number from ``least`` to ``most``; ``given`` is how it was written.

    ``more_than`` leaves ``least`` itself out; ``whole`` takes integers alone. Raises TypeError or ValueError.
    """
    if not is_number(value) or (whole and not isinstance(value, int)):
        raise TypeError(f"{given}: must be a {'whole ' if whole else ''}number")
    if not (value > least if more_than else value >= least):
        raise ValueError(f"{given}: must be {'more than' if more_than else 'at least'} {least:g}")
    if not is_finite(value):
        raise ValueError(f"{given}: must be finite")
    if most is not None and value > most:
        raise ValueError(f"{given}: must be at most {most:g}")
