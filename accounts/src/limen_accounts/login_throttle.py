"""Throttles logins: how long to wait before the next password may be tried. Counting only: no HTTP, no clock, no I/O.
``now`` is passed in, in seconds of any clock that never goes back.

Failures are counted per account and per address. The first few are free; each further one doubles a delay. During a delay no
password is checked, not even the right one: a different answer to it would make the delay useless.

- An attempt counts from its beginning (``attempt``), not from its end: of a thousand guesses sent at once, only the first
  few are tried.
- Nobody is locked out for good: delays are bounded, and failures are forgotten one by one.
- Nobody can lock the owner out at a known address: an account and an address that have logged in together have a counter of
  their own, which strangers do not affect. The price: whoever shares that address can find out that the account exists.
- A success does not reset the failures of others. Otherwise a guesser could log in with an own account after every few
  guesses, and each login of the owner would give a guesser new tries.

All state is in the memory of one process, and bounded. Only attempts create counters, and an attempt costs a hash of about
0.1 s: to evict a counter, an attacker must try ``max_counters`` names, which takes hours.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleLimits:
    """How many failures are free, and the delay for the others.

    ``account_failures`` and ``address_failures`` are free; the next failure costs ``first_delay`` seconds, each further one
    twice as much, at most ``max_delay`` seconds. Every ``forget_after`` seconds, one failure is forgotten. ``max_counters``
    bounds each kind of counter.
    """

    account_failures: int = 5
    address_failures: int = 20
    first_delay: float = 1.0
    max_delay: float = 900.0
    forget_after: float = 900.0
    max_counters: int = 100_000

    def __post_init__(self) -> None:
        """Refuse limits that would block everything, or nothing."""
        for name, minimum in (("account_failures", 0), ("address_failures", 0), ("max_counters", 1)):
            if getattr(self, name) < minimum:
                raise ValueError(f"ThrottleLimits({name}={getattr(self, name)}): must be at least {minimum}")
        if not 0 < self.first_delay <= self.max_delay or not self.forget_after > 0:
            raise ValueError("ThrottleLimits: 0 < first_delay <= max_delay, and forget_after > 0, all in seconds")


class FailureCounter:
    """The failures of one account, address or pair, and the attempts that have not ended yet."""

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


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that has begun. It ends with exactly one of ``succeeded``, ``failed`` and ``cancelled``."""

    account: str
    address: str | None
    known: bool  # whether this account has logged in from this address before


class LoginThrottle:
    """All counters of one process."""

    def __init__(self, limits: ThrottleLimits | None = None) -> None:
        """Begin with none."""
        self._limits = limits or ThrottleLimits()
        self._accounts = FailureCounters(self._limits.account_failures, self._limits)
        self._addresses = FailureCounters(self._limits.address_failures, self._limits)
        self._pairs = FailureCounters(self._limits.account_failures, self._limits)
        self._known: OrderedDict[str | None, None] = OrderedDict()

    def __repr__(self) -> str:
        """Show the number of counters."""
        return (
            f"<LoginThrottle accounts={len(self._accounts)} addresses={len(self._addresses)} pairs={len(self._pairs)}"
            f" known={len(self._known)}>"
        )

    def attempt(self, account: str, address: str | None, now: float) -> Attempt | float:
        """Begin an attempt, or return the seconds to wait before one may begin.

        ``account`` is a username key, whether or not there is such an account; ``address`` is a result of ``address_key``.
        """
        attempt = self._attempt(account, address)
        wait = self._wait(attempt, now)
        if wait > 0:
            return wait
        for counters, key in self._counters_of(attempt):
            counters.begin(key, now)
        pair = _pair_key(account, address)
        if pair is not None and attempt.known:
            self._known.move_to_end(pair)
        return attempt

    def wait(self, account: str, address: str | None, now: float) -> float:
        """Return the seconds that ``attempt`` would return, or 0 if it would begin one."""
        return self._wait(self._attempt(account, address), now)

    def _attempt(self, account: str, address: str | None) -> Attempt:
        return Attempt(account, address, known=_pair_key(account, address) in self._known)

    def _wait(self, attempt: Attempt, now: float) -> float:
        return max(counters.wait(key, now) for counters, key in self._counters_of(attempt))

    def failed(self, attempt: Attempt, now: float) -> None:
        """End an attempt with a wrong password or an unknown account."""
        self._end(attempt, now, failed=True)
        if attempt.known and attempt.address is not None:
            # The address's counter did not delay it, but its failure counts there, for all others at the address.
            self._addresses.fail(attempt.address, now)

    def succeeded(self, attempt: Attempt, now: float) -> None:
        """End an attempt with the right password; from now on its account is known at its address."""
        self._end(attempt, now, failed=False)
        pair = _pair_key(attempt.account, attempt.address)
        if pair is not None:
            self._known[pair] = None
            self._known.move_to_end(pair)
            if len(self._known) > self._limits.max_counters:
                self._known.popitem(last=False)

    def cancelled(self, attempt: Attempt, now: float) -> None:
        """End an attempt in which no password was checked."""
        self._end(attempt, now, failed=False)

    def _end(self, attempt: Attempt, now: float, *, failed: bool) -> None:
        for counters, key in self._counters_of(attempt):
            counters.end(key, now, failed=failed)

    def _counters_of(self, attempt: Attempt) -> tuple[tuple[FailureCounters, str], ...]:
        """Return the counters that can delay an attempt, with its keys."""
        pair = _pair_key(attempt.account, attempt.address)
        if attempt.known and pair is not None:
            return ((self._pairs, pair),)
        if attempt.address is None:
            return ((self._accounts, attempt.account),)
        return ((self._accounts, attempt.account), (self._addresses, attempt.address))


def address_key(text: str) -> str | None:
    """Return the key of an address: a whole /64 for IPv6, since one client has all of it. None when ``text`` is no address:
    unknown clients have no counter, which they would all share.
    """
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, 64), strict=False))
    return str(address)


def _pair_key(account: str, address: str | None) -> str | None:
    # Unambiguous: an address contains no blank.
    return None if address is None else f"{address} {account}"
