"""What one route takes at one target: the 99th percentile of the last minute, from counts in buckets. No I/O, no clock."""

from math import log
from typing import Final, final

# Buckets of latency: the first ends at 0.1 ms, and each further one is a quarter of a doubling wider (19 %). The last one
# has all from 88 s on.
_FIRST: Final = 0.0001
_PER_DOUBLING: Final = 4
_PER_E: Final = _PER_DOUBLING / log(2.0)  # compiled, a natural logarithm is an operation, and another one is a call
_BUCKETS: Final = 81

# Seconds of one window. What is told is that of the current window and the one before: of 30 to 60 seconds.
_WINDOW: Final = 30.0

# Answers between two calculations.
_EVERY: Final = 128


@final
class LearnedLatency:
    """Counts answers, and tells the 99th percentile in seconds: 0 before there are as many as ``samples``."""

    __slots__ = ("_before", "_begun", "_counts", "_fresh", "count", "p99", "samples")

    def __init__(self, samples: int) -> None:
        """``samples`` are enough."""
        self.samples: int = samples
        self._counts: list[int] = [0] * _BUCKETS
        self._before: list[int] = [0] * _BUCKETS
        self._begun: float = 0.0
        self._fresh: int = 0
        self.count: int = 0
        self.p99: float = 0.0

    def add(self, seconds: float, now: float) -> None:
        """Count an answer that took ``seconds``; ``now`` is in seconds of a clock that never goes back."""
        if now - self._begun > _WINDOW:
            self._turn(now)
        index: int = 0 if seconds <= _FIRST else int(log(seconds / _FIRST) * _PER_E) + 1
        if index >= _BUCKETS:
            index = _BUCKETS - 1
        counts = self._counts
        before = counts[index]  # compiled, ``counts[index] += 1`` adds objects
        counts[index] = before + 1
        self.count += 1
        self._fresh += 1
        if self._fresh >= _EVERY or (self.p99 == 0.0 and self.count >= self.samples):
            self._calculate()

    def _turn(self, now: float) -> None:
        """Begin a window. What is older than two of them is forgotten, but for p99 if too little is left for another."""
        if now - self._begun > 2 * _WINDOW:
            self._before = [0] * _BUCKETS
            self._begun = now
        else:
            self._before = self._counts
            self._begun += _WINDOW
        self._counts = [0] * _BUCKETS
        self.count = sum(self._before)
        # A quiet route keeps what it has learned: an old figure is better than none.
        if self.count >= self.samples:
            self._calculate()

    def _calculate(self) -> None:
        self._fresh = 0
        if self.count < self.samples:
            return
        above = self.count // 100
        index = _BUCKETS - 1
        while index > 0:
            above -= self._counts[index] + self._before[index]
            if above < 0:
                break
            index -= 1
        self.p99 = _FIRST * 2.0 ** (index / _PER_DOUBLING)  # the upper edge of the bucket

    def __repr__(self) -> str:
        """Show what is known."""
        return f"<LearnedLatency {self.p99 * 1000:.3g} ms of {self.count}>"
