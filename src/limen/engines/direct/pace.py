"""How fast the body of a request comes: whether it is silent for too long, or brings too little."""

from limen.client.limits import ClientLimits


class Pace:
    """Of one body at a time, the one that comes on a connection. Times are seconds of the loop's clock."""

    __slots__ = ("_last", "_limits", "_mark", "_since", "raw")

    def __init__(self, limits: ClientLimits) -> None:
        """No body has come yet."""
        self._limits = limits
        self.raw = 0  # bytes of it, framing included
        self._since = self._last = 0.0  # when the span of its rate began, and when some of it came
        self._mark = -1  # bytes that had come when the span began; -1 in the first, which is free

    def begin(self, raw: int, now: float) -> None:
        """Begin with a body, of which ``raw`` bytes have come with its head."""
        self.raw = raw
        self._since = self._last = now
        self._mark = -1

    def add(self, size: int, now: float) -> None:
        """Some more has come."""
        self.raw += size
        self._last = now

    def excuse(self, seconds: float, now: float) -> None:
        """It was not read for ``seconds``: these do not count."""
        self._since += seconds
        self._last = now

    def too_slow(self, now: float) -> bool:
        """Tell whether it is silent for too long, or brought too little in the last span. Each span counts by itself, or who
        sent much at first could send next to nothing for hours.
        """
        limits = self._limits
        if now - self._last >= limits.body_silence:
            return True
        span = now - self._since
        if span < limits.body_grace:
            return False
        slow = self._mark >= 0 and self.raw - self._mark < limits.body_rate * span
        self._since, self._mark = now, self.raw
        return slow
