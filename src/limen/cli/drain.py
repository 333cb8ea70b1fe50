"""The wait before a stop, in which a server is not ready and serves all the same. Decisions only: ``Server`` acts on them."""

from collections.abc import Callable


class DrainWait:
    """Begins at the first signal, and ends after ``seconds`` or at the next signal. One of 0 seconds never begins."""

    __slots__ = ("_clock", "_until", "seconds")

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds, and only goes forward."""
        self.seconds = seconds
        self._clock = clock
        self._until: float | None = None

    def begin(self) -> bool:
        """Begin at a signal; False if the stop is not to wait: there is no wait, or it has begun already."""
        if self._until is not None or self.seconds <= 0:
            return False
        self._until = self._clock() + self.seconds
        return True

    @property
    def begun(self) -> bool:
        """Tell whether the first signal has come."""
        return self._until is not None

    @property
    def over(self) -> bool:
        """Tell whether the time has passed."""
        return self._until is not None and self._clock() >= self._until

    def __repr__(self) -> str:
        """Show the state."""
        return f"<DrainWait {self.seconds:g} s {'over' if self.over else 'begun' if self.begun else 'not begun'}>"
