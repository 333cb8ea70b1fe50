"""A pool whose connections lead nowhere, on a loop whose timers go off when the test says that the time has come."""

import asyncio
import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from limen import Limits, Upstream
from limen.upstream.connection import Connection
from limen.upstream.network import Sockets
from limen.upstream.pool import Pool
from talk import Wire
from turning import timeless


class ClockedLoop(asyncio.SelectorEventLoop):
    """A loop whose timers go by ``now``; whatever else runs, runs at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.timers: list[tuple[float, int, asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        handle = asyncio.TimerHandle(self.now + delay, callback, args, self, context)
        heapq.heappush(self.timers, (self.now + delay, len(self.timers), handle))
        return handle

    def until(self, now: float) -> int:
        """Let the time pass, and return how many timers went off."""
        count = 0
        while self.timers and self.timers[0][0] <= now:
            self.now, _, handle = heapq.heappop(self.timers)
            if not handle.cancelled():
                count += 1
                handle._run()  # pyright: ignore[reportAttributeAccessIssue] - as the loop does
        self.now = now
        return count


class UnwiredPool(Pool):
    """A pool whose connections lead nowhere."""

    async def _connect(self, deadline: float | None) -> Connection:
        lost: Callable[[Connection], None] = self._lost
        connection = Connection(self.target, 4096, lost, timeless())
        connection.connection_made(Wire())
        return connection


def clocked_pool(loop: ClockedLoop, limits: Limits, random: Random | None = None) -> UnwiredPool:
    """Return a pool that goes by the time of ``loop``."""
    upstream = Upstream("svc", ["http://a"], limits=limits)
    return UnwiredPool(
        upstream, upstream.addresses[0], Sockets(), lambda: None, clock=loop.time, random=random or Random(1)
    )


def opened(loop: ClockedLoop, pool: Pool, count: int = 1) -> list[Connection]:
    """Open ``count`` connections, which are in use."""

    async def open_all() -> list[Connection]:
        return [await pool.acquire(1) for _ in range(count)]

    return loop.run_until_complete(open_all())


def aborted(connections: list[Connection]) -> int:
    """Return how many of ``connections`` the pool has closed."""
    return sum(wire_of(connection).aborted for connection in connections)


def wire_of(connection: Connection) -> Wire:
    """Return what ``connection`` writes to."""
    wire: Wire = vars(connection)["_transport"]
    return wire
