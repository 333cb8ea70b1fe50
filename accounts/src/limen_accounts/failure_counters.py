"""Failures to prove a password, and the delays that they cost. Counting only: no HTTP, no clock, no I/O. ``now`` is passed
in, in seconds of any clock that never goes back.
"""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleLimits:
    """How many failures are free, and the delay for the others.

    ``account_failures`` and ``address_failures`` are free; the next failure costs ``first_delay`` seconds, each further one
    twice as much, at most ``max_delay`` seconds. Every ``forget_after`` seconds, one failure is forgotten. ``max_counters``
    bounds each kind of counter. When a delay ends, each of those who were refused has ``turn`` seconds in which nobody else
    may try (``waiting_lines``).
    """

    account_failures: int = 5
    address_failures: int = 20
    first_delay: float = 1.0
    max_delay: float = 900.0
    forget_after: float = 900.0
    max_counters: int = 100_000
    turn: float = 120.0

    def __post_init__(self) -> None:
        """Refuse limits that would block everything, or nothing."""
        for name, minimum in (("account_failures", 0), ("address_failures", 0), ("max_counters", 1)):
            if getattr(self, name) < minimum:
                raise ValueError(f"ThrottleLimits({name}={getattr(self, name)}): must be at least {minimum}")
        if not 0 < self.first_delay <= self.max_delay or not self.forget_after > 0 or not self.turn > 0:
            raise ValueError("ThrottleLimits: 0 < first_delay <= max_delay, forget_after > 0 and turn > 0, in seconds")


class FailureCounter:
    """The failures of one account, address or known client, and the attempts that have not ended yet."""

    __slots__ = ("_forgotten_at", "failures", "pending", "until")

    def __init__(self, now: float) -> None:
        """Begin with none."""
        self.failures = 0
        self.pending = 0
        self.until = now  # nothing is tried before
        self._forgotten_at = now

    def __repr__(self) -> str:
        """Show the numbers."""
        return f"<FailureCounter failures={self.failures} pending={self.pending} until={self.until:g}>"

    def wait(self, free: int, limits: ThrottleLimits, now: float) -> float:
        """Return the seconds until an attempt may begin; 0 is now."""
        self._forget_old_failures(limits, now)
        if now < self.until:
            return self.until - now
        # Beyond the free failures, one attempt at a time: its delay is known only once it has ended.
        if self.pending and self.failures + self.pending > free:
            return limits.first_delay
        return 0.0

    def fail(self, free: int, limits: ThrottleLimits, now: float) -> None:
        """Count a failure."""
        self._forget_old_failures(limits, now)
        self.failures += 1
        if self.failures > free:
            # The exponent is bounded too: a float overflows beyond 2**1023.
            doubled = limits.first_delay * 2.0 ** min(self.failures - free - 1, 64)
            self.until = now + min(limits.max_delay, doubled)

    def exhausted(self, free: int, limits: ThrottleLimits, now: float) -> bool:
        """Whether the next failure will cost a delay, or one has."""
        self._forget_old_failures(limits, now)
        return self.failures > free

    def idle(self, limits: ThrottleLimits, now: float) -> bool:
        """Whether the counter can be dropped."""
        self._forget_old_failures(limits, now)
        return not self.failures and not self.pending and now >= self.until

    def _forget_old_failures(self, limits: ThrottleLimits, now: float) -> None:
        steps = int((now - self._forgotten_at) / limits.forget_after)
        if steps > 0:
            self.failures = max(0, self.failures - steps)
            self._forgotten_at += steps * limits.forget_after
        if not self.failures:
            self._forgotten_at = now


class FailureCounters:
    """The counters of one kind, by key; a new one evicts the least recently used."""

    __slots__ = ("_counters", "_limits", "free")

    def __init__(self, free: int, limits: ThrottleLimits) -> None:
        """Begin with none; ``free`` failures cost nothing."""
        self.free = free
        self._limits = limits
        self._counters: OrderedDict[str, FailureCounter] = OrderedDict()

    def __len__(self) -> int:
        """Count them."""
        return len(self._counters)

    def wait(self, key: str, now: float) -> float:
        """Return the seconds until an attempt may begin; 0 is now. Creates no counter."""
        counter = self._counters.get(key)
        return 0.0 if counter is None else counter.wait(self.free, self._limits, now)

    def delayed_until(self, key: str, now: float) -> float | None:
        """Return when the delay of a counter ends or has ended; None for one whose failures are free."""
        counter = self._counters.get(key)
        if counter is None or not counter.exhausted(self.free, self._limits, now):
            return None
        return counter.until

    def begin(self, key: str, now: float) -> None:
        """Count an attempt that has begun."""
        self._counter(key, now).pending += 1

    def end(self, key: str, now: float, *, failed: bool) -> None:
        """Count the end of an attempt that has begun."""
        counter = self._counter(key, now)
        # The counter may have been evicted meanwhile: then there is a new one.
        counter.pending = max(0, counter.pending - 1)
        if failed:
            counter.fail(self.free, self._limits, now)
        elif counter.idle(self._limits, now):
            del self._counters[key]

    def fail(self, key: str, now: float) -> None:
        """Count a failure of an attempt that this counter did not delay."""
        self._counter(key, now).fail(self.free, self._limits, now)

    def _counter(self, key: str, now: float) -> FailureCounter:
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = FailureCounter(now)
            if len(self._counters) > self._limits.max_counters:
                self._counters.popitem(last=False)
        else:
            self._counters.move_to_end(key)
        return counter
