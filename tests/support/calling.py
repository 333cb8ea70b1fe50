"""One call through a pool, as an engine makes it, and the counts of the pool afterwards."""

from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any

from limen import Limits, Timeouts, Upstream
from limen.http.headers import Headers
from limen.upstream.live import LiveUpstream
from limen.upstream.network import Network, Sockets
from limen.upstream.pool import Pool
from limen.upstream.request_sender import UpstreamAnswer, send
from limen.upstream.tls_context import UpstreamTlsContext

PATIENT = Timeouts(connect=10, first_byte=10, idle=10)


class InOrder(Random):
    """Takes targets in the order of their declaration, where others take them at random."""

    def sample(self, population: Sequence[Any], k: int, *, counts: Any = None) -> list[Any]:
        return list(population[:k])


def pool_of(upstream: Upstream, network: Network | None = None) -> Pool:
    """Return a pool of connections to the first target of ``upstream``."""
    return Pool(upstream, upstream.addresses[0], network or Sockets(), UpstreamTlsContext(upstream).context)


def pool_for(url: str, limits: Limits | None = None) -> Pool:
    """Return a pool of connections to ``url``."""
    return pool_of(Upstream("svc", [url], limits=limits or Limits()))


async def call(
    pool: Pool,
    method: bytes = b"GET",
    target: bytes = b"/",
    *,
    headers: Headers | None = None,
    body: bytes | AsyncIterator[bytes] | None = None,
    length: int | None = None,
    timeouts: Timeouts = PATIENT,
) -> UpstreamAnswer:
    """Send one request and return its answer."""
    connection = pool.idle() or await pool.acquire(timeouts.connect)
    lines = headers or []
    return await send(
        pool,
        connection,
        method=method,
        target=target,
        headers=lines,
        body=body,
        length=length,
        timeouts=timeouts,
        body_silence=timeouts.idle,
    )


def counts(pool: Pool | LiveUpstream) -> tuple[int, int, int]:
    """Return how many connections are idle, how many busy, and how many callers wait."""
    now = pool.snapshot()
    return now.idle, now.busy, now.waiting
