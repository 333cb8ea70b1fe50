"""The check of a number in a declaration: a wrong one is refused where it is written."""

from math import isfinite
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether ``value`` is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    if not isfinite(value):
        raise ValueError(f"{given}: must be finite")
    if most is not None and value > most:
        raise ValueError(f"{given}: must be at most {most:g}")
