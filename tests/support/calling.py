"""One call through a pool, as an engine makes it, and the counts of the pool afterwards."""

from collections.abc import AsyncIterator

from limen import Limits, Timeouts, Upstream
from limen.http.headers import Headers
from limen.upstream.pool import Pool
from limen.upstream.request_sender import UpstreamAnswer, send

PATIENT = Timeouts(connect=10, first_byte=10, idle=10)


def pool_for(*urls: str, limits: Limits | None = None) -> Pool:
    """Return a pool of connections to ``urls``."""
    return Pool(Upstream("svc", urls, limits=limits or Limits()))


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


def counts(pool: Pool) -> tuple[int, int, int]:
    """Return how many connections are idle, how many busy, and how many callers wait."""
    now = pool.snapshot()
    return now.idle, now.busy, now.waiting
