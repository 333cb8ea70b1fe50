"""Throttles password checks: how long to wait before the next password may be tried. Counting only: no HTTP, no clock, no
I/O. ``now`` is passed in, in seconds of any clock that never goes back.

Failures are counted per account and per address. The first few are free; each further one doubles a delay. During a delay no
password is checked, not even the right one: a different answer to it would make the delay useless.

- An attempt counts from its beginning (``attempt``), not from its end: of a thousand guesses sent at once, only the first
  few are tried.
- Nobody is locked out for good: delays are bounded, and failures are forgotten one by one.
- A client that was good before has a counter of its own, which strangers do not affect: an address from which the account
  has logged in, a device that has logged in (``device_tokens``), and a session. The price: whoever shares that address can
  find out that the account exists.
- All others take turns, by address (``waiting_lines``): a guesser who asks more often is not served more often.
- A success does not reset the failures of others. Otherwise a guesser could log in with an own account after every few
  guesses, and each login of the owner would give a guesser new tries.

All state is in the memory of one process, and bounded. Only attempts create counters, and an attempt costs a hash of about
0.1 s: to evict a counter, an attacker must try ``max_counters`` names, which takes hours.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from limen_accounts.failure_counters import FailureCounters, ThrottleLimits
from limen_accounts.waiting_lines import WaitingLines


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that has begun. It ends with exactly one of ``succeeded``, ``failed`` and ``cancelled``.

    ``known`` is the key of the counter of a client that was good before, which alone delays it; None for all others.
    """

    account: str
    address: str | None
    known: str | None


class LoginThrottle:
    """All counters of one process."""

    def __init__(self, limits: ThrottleLimits | None = None) -> None:
        """Begin with none."""
        self._limits = limits or ThrottleLimits()
        self._accounts = FailureCounters(self._limits.account_failures, self._limits)
        self._addresses = FailureCounters(self._limits.address_failures, self._limits)
        self._known = FailureCounters(self._limits.account_failures, self._limits)
        self._known_pairs: OrderedDict[str | None, None] = OrderedDict()
        self._lines = WaitingLines(self._limits.turn)

    def __repr__(self) -> str:
        """Show the number of counters, and of pairs of an account and an address that are known."""
        return (
            f"<LoginThrottle accounts={len(self._accounts)} addresses={len(self._addresses)} known={len(self._known)}"
            f" pairs={len(self._known_pairs)}>"
        )

    def attempt(self, account: str, address: str | None, now: float, *, device: str | None = None) -> Attempt | float:
        """Begin an attempt, or return the seconds to wait before one may begin.

        ``account`` is a username key, whether or not there is such an account; ``address`` is a result of ``address_key``;
        ``device`` is one that has logged in to this account, as ``device_tokens`` has verified.
        """
        attempt = self._attempt(account, address, device)
        pair = _pair_key(account, address)
        if pair in self._known_pairs:
            self._known_pairs.move_to_end(pair)
        return self._begin(attempt, now)

    def attempt_in_session(self, session: str, account: str, address: str | None, now: float) -> Attempt | float:
        """Begin an attempt of a caller who is known by ``session``, or return the seconds to wait before one may begin."""
        return self._begin(Attempt(account, address, f"session {session}"), now)

    def wait(self, account: str, address: str | None, now: float) -> float:
        """Return the seconds that ``attempt`` would return, or 0 if it would begin one. Whoever has to wait gets a place."""
        return self._wait(self._attempt(account, address, None), now)

    def failed(self, attempt: Attempt, now: float) -> None:
        """End an attempt with a wrong password or an unknown account."""
        self._end(attempt, now, failed=True)
        if attempt.known is None:
            self._lines.leave(attempt.account, attempt.address, now)
        elif attempt.address is not None:
            # The address's counter did not delay it, but its failure counts there, for all others at the address.
            self._addresses.fail(attempt.address, now)

    def succeeded(self, attempt: Attempt, now: float) -> None:
        """End an attempt with the right password; from now on its account is known at its address."""
        self._end(attempt, now, failed=False)
        self._lines.leave(attempt.account, attempt.address, now)
        pair = _pair_key(attempt.account, attempt.address)
        if pair is not None:
            self._known_pairs[pair] = None
            self._known_pairs.move_to_end(pair)
            if len(self._known_pairs) > self._limits.max_counters:
                self._known_pairs.popitem(last=False)

    def cancelled(self, attempt: Attempt, now: float) -> None:
        """End an attempt in which no password was checked; it keeps its turn."""
        self._end(attempt, now, failed=False)

    def _attempt(self, account: str, address: str | None, device: str | None) -> Attempt:
        if device is not None:
            return Attempt(account, address, f"device {device} {account}")
        pair = _pair_key(account, address)
        return Attempt(account, address, pair if pair in self._known_pairs else None)

    def _begin(self, attempt: Attempt, now: float) -> Attempt | float:
        wait = self._wait(attempt, now)
        if wait > 0:
            return wait
        for counters, key in self._counters_of(attempt):
            counters.begin(key, now)
        return attempt

    def _wait(self, attempt: Attempt, now: float) -> float:
        wait = max(counters.wait(key, now) for counters, key in self._counters_of(attempt))
        if attempt.known is not None:
            return wait
        delayed_until = self._accounts.delayed_until(attempt.account, now)
        if delayed_until is None:
            self._lines.drop(attempt.account)
            return wait
        if attempt.address is not None and self._addresses.wait(attempt.address, now) > 0:
            return wait  # whoever is delayed for guesses elsewhere does not keep others waiting
        in_line = self._lines.wait(attempt.account, attempt.address, delayed_until, now)
        return max(wait, min(in_line, self._limits.max_delay))

    def _end(self, attempt: Attempt, now: float, *, failed: bool) -> None:
        for counters, key in self._counters_of(attempt):
            counters.end(key, now, failed=failed)

    def _counters_of(self, attempt: Attempt) -> tuple[tuple[FailureCounters, str], ...]:
        """Return the counters that can delay an attempt, with its keys."""
        if attempt.known is not None:
            return ((self._known, attempt.known),)
        if attempt.address is None:
            return ((self._accounts, attempt.account),)
        return ((self._accounts, attempt.account), (self._addresses, attempt.address))


def address_key(text: str) -> str | None:
    """Return the key of an address: a whole /64 for IPv6, since one client has all of it.

    None when ``text`` is no address, or one of this machine itself: what comes from there is everybody's, sent on by a proxy
    that the gateway does not know. Such clients have no counter, which they would all share.
    """
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return None
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)


def _pair_key(account: str, address: str | None) -> str | None:
    # Unambiguous: an address contains no blank, and is no word.
    return None if address is None else f"{address} {account}"
