"""How long to wait before the next password may be tried. Counting only: no HTTP, no clock, no I/O; ``now`` is passed in,
in seconds of any clock that never goes back.

Failures are counted for each account and for each address. The first few cost nothing; each further one doubles a delay,
and while it runs nothing is tried: a right password is not told from a wrong one then, or the delay would be none.

- An attempt is counted from its beginning (``attempt``), not from its end: of a thousand guesses sent at once, the first
  few are tried, not all of them before the first has failed.
- Nobody is shut out for good: a delay is bounded, and failures are forgotten one by one.
- Nobody can shut out the owner of an account from where the owner is known: an account and an address that were right
  together have a counter of their own, on which strangers have no influence. The price: who shares the owner's address can
  find out that there is such an account.
- A success takes nothing back of what others have failed: otherwise every tenth guess would be a login of the guesser's
  own, and each login of an owner would give a guesser new tries.

Everything is in the memory of one process, and bounded. Only what was tried is kept, and a try costs a hash of about
0.1 s: to push a counter out, one has to try as many names as there are places, which takes hours.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many failures are free, and what the others cost.

    ``account`` and ``address`` are free failures; the next one costs ``first`` seconds, each further one twice as much,
    at most ``bound`` seconds. Each ``forget`` seconds, one failure is forgotten. ``places`` bounds each kind of counter.
    """

    account: int = 5
    address: int = 20
    first: float = 1.0
    bound: float = 900.0
    forget: float = 900.0
    places: int = 100_000

    def __post_init__(self) -> None:
        """Refuse limits that would stop everything, or nothing."""
        for name, least in (("account", 0), ("address", 0), ("places", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"Limits({name}={getattr(self, name)}): must be at least {least}")
        if not 0 < self.first <= self.bound or not self.forget > 0:
            raise ValueError("Limits: 0 < first <= bound, and forget > 0, all in seconds")


class Counter:
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
        return f"<Counter failures={self.failures} pending={self.pending} until={self.until:g}>"

    def wait(self, free: int, limits: Limits, now: float) -> float:
        """Return the seconds until an attempt may begin; 0 is now."""
        self._forget(limits, now)
        if now < self.until:
            return self.until - now
        # Beyond the free ones, one at a time: what it costs is known only once it has ended.
        if self.pending and self.failures + self.pending > free:
            return limits.first
        return 0.0

    def fail(self, free: int, limits: Limits, now: float) -> None:
        """Count a failure."""
        self._forget(limits, now)
        self.failures += 1
        if self.failures > free:
            # The exponent is bounded as well: a float ends at 2**1023.
            doubled = limits.first * 2.0 ** min(self.failures - free - 1, 64)
            self.until = now + min(limits.bound, doubled)

    def idle(self, limits: Limits, now: float) -> bool:
        """Tell whether there is nothing to keep."""
        self._forget(limits, now)
        return not self.failures and not self.pending and now >= self.until

    def _forget(self, limits: Limits, now: float) -> None:
        steps = int((now - self._forgotten_at) / limits.forget)
        if steps > 0:
            self.failures = max(0, self.failures - steps)
            self._forgotten_at += steps * limits.forget
        if not self.failures:
            self._forgotten_at = now


class Counters:
    """The counters of one kind, by key; the one that was used longest ago makes room for a new one."""

    __slots__ = ("_found", "_limits", "free")

    def __init__(self, free: int, limits: Limits) -> None:
        """Begin with none; ``free`` failures cost nothing."""
        self.free = free
        self._limits = limits
        self._found: OrderedDict[str, Counter] = OrderedDict()

    def __len__(self) -> int:
        """Count them."""
        return len(self._found)

    def wait(self, key: str, now: float) -> float:
        """Return the seconds until an attempt may begin; 0 is now. Asking keeps nothing."""
        counter = self._found.get(key)
        return 0.0 if counter is None else counter.wait(self.free, self._limits, now)

    def begin(self, key: str, now: float) -> None:
        """Count an attempt that has begun."""
        self._at(key, now).pending += 1

    def end(self, key: str, now: float, *, failed: bool) -> None:
        """Count the end of an attempt that has begun."""
        counter = self._at(key, now)
        # Its place may have been taken meanwhile: then it is counted anew.
        counter.pending = max(0, counter.pending - 1)
        if failed:
            counter.fail(self.free, self._limits, now)
        elif counter.idle(self._limits, now):
            del self._found[key]

    def fail(self, key: str, now: float) -> None:
        """Count a failure of an attempt that was not held back here."""
        self._at(key, now).fail(self.free, self._limits, now)

    def _at(self, key: str, now: float) -> Counter:
        counter = self._found.get(key)
        if counter is None:
            counter = self._found[key] = Counter(now)
            if len(self._found) > self._limits.places:
                self._found.popitem(last=False)
        else:
            self._found.move_to_end(key)
        return counter


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that has begun: it ends with exactly one of ``succeeded``, ``failed`` and ``dropped``."""

    account: str
    address: str | None
    known: bool  # whether this account and address were right together before


class Guessing:
    """All counters of one process."""

    def __init__(self, limits: Limits | None = None) -> None:
        """Begin with none."""
        self._limits = limits or Limits()
        self._accounts = Counters(self._limits.account, self._limits)
        self._addresses = Counters(self._limits.address, self._limits)
        self._pairs = Counters(self._limits.account, self._limits)
        self._known: OrderedDict[str | None, None] = OrderedDict()

    def __repr__(self) -> str:
        """Show how much is kept."""
        return (
            f"<Guessing accounts={len(self._accounts)} addresses={len(self._addresses)} pairs={len(self._pairs)}"
            f" known={len(self._known)}>"
        )

    def attempt(self, account: str, address: str | None, now: float) -> Attempt | float:
        """Begin an attempt, or return the seconds to wait before one may begin.

        ``account`` is a name as it is compared, whether or not there is such an account; ``address`` is what
        ``address_key`` gives.
        """
        attempt = self._attempt(account, address)
        wait = self._wait(attempt, now)
        if wait > 0:
            return wait
        for counters, key in self._held(attempt):
            counters.begin(key, now)
        pair = _pair(account, address)
        if pair is not None and attempt.known:
            self._known.move_to_end(pair)
        return attempt

    def wait(self, account: str, address: str | None, now: float) -> float:
        """Return the seconds that ``attempt`` would, or 0 where one would begin; nothing begins."""
        return self._wait(self._attempt(account, address), now)

    def _attempt(self, account: str, address: str | None) -> Attempt:
        return Attempt(account, address, known=_pair(account, address) in self._known)

    def _wait(self, attempt: Attempt, now: float) -> float:
        return max(counters.wait(key, now) for counters, key in self._held(attempt))

    def failed(self, attempt: Attempt, now: float) -> None:
        """End an attempt whose password was wrong, or whose account does not exist."""
        self._end(attempt, now, failed=True)
        if attempt.known and attempt.address is not None:
            # It was not held back by what others do at its address, but they are by what it does.
            self._addresses.fail(attempt.address, now)

    def succeeded(self, attempt: Attempt, now: float) -> None:
        """End an attempt whose password was right; from now on its account is known at its address."""
        self._end(attempt, now, failed=False)
        pair = _pair(attempt.account, attempt.address)
        if pair is not None:
            self._known[pair] = None
            self._known.move_to_end(pair)
            if len(self._known) > self._limits.places:
                self._known.popitem(last=False)

    def dropped(self, attempt: Attempt, now: float) -> None:
        """End an attempt in which no password was looked at."""
        self._end(attempt, now, failed=False)

    def _end(self, attempt: Attempt, now: float, *, failed: bool) -> None:
        for counters, key in self._held(attempt):
            counters.end(key, now, failed=failed)

    def _held(self, attempt: Attempt) -> tuple[tuple[Counters, str], ...]:
        """Return what holds an attempt back."""
        pair = _pair(attempt.account, attempt.address)
        if attempt.known and pair is not None:
            return ((self._pairs, pair),)
        if attempt.address is None:
            return ((self._accounts, attempt.account),)
        return ((self._accounts, attempt.account), (self._addresses, attempt.address))


def address_key(text: str) -> str | None:
    """Return what the addresses of one client have in common, or None when ``text`` is no address.

    One client has a whole /64 of IPv6. Who is unknown has no counter: all who are would share it.
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


def _pair(account: str, address: str | None) -> str | None:
    # An address has no blank.
    return None if address is None else f"{address} {account}"
