"""What lives while the process lives: pools, kept by the upstream's name, and the verifier with its cache."""

from collections.abc import Callable
from random import Random
from time import time

from limen.declare.jwt import Jwt
from limen.declare.trust import Trust
from limen.declare.upstream import Upstream
from limen.gates.jwt import Verifier
from limen.upstream.pool import Pool

# Seeded by the operating system. Ids have to differ, not to be secret: no system call for each is 1 us less.
_random = Random().getrandbits  # noqa: S311  # not for secrets


NOBODY = Trust()


class Runtime:
    """The live side of one gateway. Time and randomness enter the data path here and nowhere else."""

    __slots__ = ("_pools", "now", "request_id", "trust", "verifier")

    def __init__(
        self,
        auth: Jwt | None,
        *,
        trust: Trust = NOBODY,
        now: Callable[[], float] = time,
        request_id: Callable[[], str] = lambda: f"{_random(128):032x}",
    ) -> None:
        """Start with no pools; ``trust`` names the proxies in front, ``now`` gives seconds since the epoch."""
        self._pools: dict[str, Pool] = {}
        self.trust = trust
        self.now = now
        self.request_id = request_id
        self.verifier = Verifier(auth) if auth is not None else None

    def pool(self, upstream: Upstream) -> Pool:
        """Return the pool of ``upstream``, made at first use."""
        pool = self._pools.get(upstream.name)
        if pool is None:
            pool = self._pools[upstream.name] = Pool(upstream)
        return pool

    async def aclose(self) -> None:
        """Close every pooled connection."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    def __repr__(self) -> str:
        """Show the pools, which say what is busy."""
        return f"<Runtime {' '.join(map(repr, self._pools.values())) or 'idle'}>"
