"""Balancing: each picks one of the targets that it is given. It knows no health: who may be picked is decided before.

Targets come as lists: compiled, a list is read several times as fast as any other sequence.
"""

from collections.abc import Callable
from hashlib import blake2b
from math import log
from random import Random
from typing import Final, final

from limen.exchange.request import Request
from limen.http.headers import Headers
from limen.upstream.balance import Balance, Hash, LeastRequests, RoundRobin, Sticky, cookie_value
from limen.upstream.live_target import LiveTarget

# The values of a hash, 48 bits of it: so that each is exact as a float, and less than 1 as a share.
_HASHES: Final = float(1 << 48)


class Balancer:
    """Picks a target. A native base, and no protocol: so calls cost 260 instructions less each."""

    def pick(self, targets: list[LiveTarget], request: Request) -> LiveTarget:
        """Return one of ``targets``, of which there is at least one."""
        raise NotImplementedError


@final
class LeastRequestsBalancer(Balancer):
    """Of two targets taken at random, the one with fewer requests under way for its weight."""

    __slots__ = ("_random",)

    def __init__(self, random: Callable[[], float]) -> None:
        """``random`` gives numbers from 0 to 1, 1 excluded."""
        self._random = random

    def pick(self, targets: list[LiveTarget], request: Request) -> LiveTarget:
        """Return one of ``targets``."""
        count = len(targets)
        if count == 1:
            return targets[0]
        if any_uneven(targets):
            return self._pick_by_weight(targets)
        # One number for two choices: the second is any but the first.
        drawn = int(self._random() * (count * (count - 1)))
        first = drawn // (count - 1)
        second = drawn % (count - 1)
        if second >= first:
            second += 1
        one, other = targets[first], targets[second]
        return other if other.in_flight < one.in_flight else one

    def _pick_by_weight(self, targets: list[LiveTarget]) -> LiveTarget:
        """Take two in proportion to their weights, and of these the one with fewer requests for its weight.

        While there are hardly any requests under way, it is the draw that gives each its share.
        """
        weights = [target.weight * target.share() for target in targets]
        first = self._draw(weights)
        second = self._draw(weights)
        one, other = targets[first], targets[second]
        if other.in_flight * weights[first] < one.in_flight * weights[second]:
            return other
        return one

    def _draw(self, weights: list[float]) -> int:
        left = self._random() * sum(weights)
        last = len(weights) - 1
        for index in range(last):
            left -= weights[index]
            if left < 0:
                return index
        return last


@final
class RoundRobinBalancer(Balancer):
    """One after the other, in proportion to weights (nginx's smooth weighted round robin)."""

    __slots__ = ("_owed",)

    def __init__(self) -> None:
        """Begin with the first."""
        self._owed: dict[LiveTarget, float] = {}

    def pick(self, targets: list[LiveTarget], request: Request) -> LiveTarget:
        """Return one of ``targets``: each gets its weight as credit, and the one with most pays for all."""
        if len(targets) == 1:
            return targets[0]
        owed: dict[LiveTarget, float] = {}  # what is not asked about loses its credit
        before = self._owed
        total = 0.0
        best = targets[0]
        most = -1e300
        for target in targets:
            weight = target.weight * target.share()
            total += weight
            owed[target] = credit = before.get(target, 0.0) + weight
            if credit > most:
                best, most = target, credit
        owed[best] = most - total
        self._owed = owed
        return best


@final
class HashBalancer(Balancer):
    """The target with the highest hash of key and target together (rendezvous hashing)."""

    __slots__ = ("_by", "_otherwise")

    def __init__(self, by: Callable[[Request], object], otherwise: Balancer) -> None:
        """``by`` gives the key, text or what has one; ``otherwise`` picks for requests without a key."""
        self._by = by
        self._otherwise = otherwise

    def pick(self, targets: list[LiveTarget], request: Request) -> LiveTarget:
        """Return one of ``targets``."""
        key = self._by(request)
        if key is None or len(targets) == 1:
            return self._otherwise.pick(targets, request)
        text = str(key).encode("utf-8", "surrogatepass")
        best = targets[0]
        most = -1.0
        for target in targets:
            drawn = (int.from_bytes(blake2b(text, digest_size=6, key=target.hash_key).digest()) + 0.5) / _HASHES
            score = target.weight * target.share() / -log(drawn)
            if score > most:
                best, most = target, score
        return best


@final
class StickyBalancer(Balancer):
    """The target that the client's cookie names."""

    __slots__ = ("_cookie", "_otherwise", "_tail", "_tail_secure")

    def __init__(self, declared: Sticky, otherwise: Balancer) -> None:
        """``otherwise`` picks for requests without a cookie that names a target."""
        self._cookie = declared.cookie.encode()
        self._otherwise = otherwise
        age = b"" if declared.seconds is None else b"; Max-Age=%d" % declared.seconds
        self._tail = b"; Path=/" + age + b"; HttpOnly; SameSite=Lax"
        self._tail_secure = self._tail + b"; Secure"

    def pick(self, targets: list[LiveTarget], request: Request) -> LiveTarget:
        """Return one of ``targets``."""
        named = self.named(targets, request)
        return self._otherwise.pick(targets, request) if named is None else named

    def named(self, targets: list[LiveTarget], request: Request) -> LiveTarget | None:
        """Return the one of ``targets`` that the cookie names; None without such a cookie, or where it is not among them."""
        value = cookie_value(request, self._cookie)
        if value is None:
            return None
        for target in targets:
            if target.cookie == value:
                return target
        return None

    def lines(self, target: LiveTarget, request: Request) -> Headers:
        """Return the header lines that bind the client to ``target``."""
        tail = self._tail_secure if request.scheme == b"https" else self._tail
        return [(b"set-cookie", self._cookie + b"=" + target.cookie + tail)]


def any_uneven(targets: list[LiveTarget]) -> bool:
    """Tell whether not all of ``targets`` are to get as much as the others."""
    for target in targets:  # noqa: SIM110 - compiled, a generator costs several times as much
        if target.uneven:
            return True
    return False


def balancer_of(declared: Balance, random: Random) -> Balancer:
    """Return what picks as ``declared`` says."""
    least = LeastRequestsBalancer(random.random)
    match declared:
        case RoundRobin():
            return RoundRobinBalancer()
        case Hash():
            return HashBalancer(declared.by, least)
        case Sticky():
            return StickyBalancer(declared, least)
        case LeastRequests():
            return least
