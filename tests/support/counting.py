"""Work as a number of calls, of Python's functions and of C's: the same on every machine, however busy it is."""

import gc
import sys
from collections.abc import Callable
from types import FrameType


def calls(work: Callable[[], object]) -> int:
    """Return how many calls, and resumptions of generators, ``work`` takes. What is compiled is not seen."""
    count = 0

    def look(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    # What the collector finds may have callbacks, whose calls are no part of the work.
    collecting = gc.isenabled()
    gc.disable()
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(None)
        if collecting:
            gc.enable()
    return count
