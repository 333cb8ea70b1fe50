"""One target while the gateway runs: its connections, its health, what it has under way, and how long it takes.

It outlives a reload: it is kept by its address while targets come and go around it.
"""

from hashlib import blake2b
from typing import Final, final

from limen.upstream.learned_latency import LearnedLatency
from limen.upstream.pool import Pool
from limen.upstream.snapshot import TargetSnapshot
from limen.upstream.target import Target
from limen.upstream.target_health import STATES, TargetHealth

# Routes of which a target knows the latency by themselves. All others share one figure.
MOST_ROUTES: Final = 1024


@final
class LiveTarget:
    """``in_flight`` attempts are under way. ``weight`` is its declared share; ``uneven`` says that it differs from others.

    ``cookie`` names it to clients, ``hash_key`` in rendezvous hashing: both are the same in every process.
    """

    __slots__ = (
        *("_latencies", "cookie", "hash_key", "health", "in_flight", "name", "pool", "target", "uneven", "weight"),
    )

    def __init__(self, target: Target, pool: Pool, health: TargetHealth) -> None:
        """Begin with nothing under way."""
        self.target = target
        self.name: str = str(target)
        self.pool = pool
        self.health = health
        self.in_flight: int = 0
        self.weight: float = 1.0
        self.uneven: bool = False
        self.hash_key: bytes = _hashed(target)
        self.cookie: bytes = self.hash_key.hex()[:16].encode()
        self._latencies: dict[str, LearnedLatency] = {}

    def weigh(self, weight: float) -> None:
        """Take ``weight`` for its declared share."""
        self.weight = weight
        self.uneven = weight != 1.0 or self.health.growing

    def move(self, target: Target) -> None:
        """Be ``target`` from now on: the same one, with other addresses to fall back to, or a name that was looked up."""
        if target != self.target:
            self.target = self.pool.target = target
            self.name = str(target)
            self.hash_key = _hashed(target)
            self.cookie = self.hash_key.hex()[:16].encode()

    def share(self) -> float:
        """Return which share of its own requests it gets, from 0 to 1."""
        share = self.health.share()
        if share == 1.0:
            self.uneven = self.weight != 1.0
        return share

    def latency(self, route: str, samples: int) -> LearnedLatency:
        """Return what is known of how long ``route`` takes here; ``samples`` are enough for a figure."""
        known = self._latencies.get(route)
        if known is None:
            if len(self._latencies) >= MOST_ROUTES:
                route = ""
                known = self._latencies.get(route)
            if known is None:
                known = self._latencies[route] = LearnedLatency(samples)
        known.samples = samples
        return known

    def p99(self, route: str) -> float:
        """Return the 99th percentile of how long ``route`` takes here, in seconds; 0 while that is not known."""
        known = self._latencies.get(route)
        if known is None and len(self._latencies) >= MOST_ROUTES:
            known = self._latencies.get("")
        return 0.0 if known is None else known.p99

    def snapshot(self) -> TargetSnapshot:
        """Return its state, and the counts of its connections."""
        pool, health = self.pool.snapshot(), self.health
        return TargetSnapshot(
            *(self.name, STATES[health.state], health.reason, health.since, self.in_flight),
            *(pool.idle, pool.busy, pool.waiting, health.drained_since, health.failing),
        )

    def adopt(self, other: "LiveTarget") -> None:
        """Take over what ``other``, the same target with other connections, has learned."""
        self.health = other.health
        self._latencies = other._latencies

    def __repr__(self) -> str:
        """Show where it is and how it is."""
        return f"<LiveTarget {self.name} {self.in_flight} in flight {self.health!r}>"


def _hashed(target: Target) -> bytes:
    return blake2b(target.key.encode("utf-8", "replace"), digest_size=32).digest()
