"""The time by which sessions, keys and events are dated; tests pass another clock to the stores."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the time, with its zone."""


def wall_clock() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)
