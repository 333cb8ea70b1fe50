"""The time of day for what is called by users and has no other way to it: tokens that are issued in ``after``, say.

Everything on a request's way gets its time from the runtime. ``limen.testing`` sets ``NOW`` for what it runs.
"""

from collections.abc import Callable
from contextvars import ContextVar
from time import time
from typing import Final

NOW: Final[ContextVar[Callable[[], float]]] = ContextVar("limen.now", default=time)
"""Gives seconds since the epoch."""


def now() -> float:
    """Return seconds since the epoch."""
    return NOW.get()()
