"""The connections to one target: idle ones, last in first out; busy ones, bounded; and a queue of requests for one.

State changes first, I/O after: the synchronous parts leave the pool consistent before anything is awaited or closed.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from limen.errors import RETRY_AFTER, Fault, Kind
from limen.fairness.scheduler import scheduler_of
from limen.upstream.connect_fault import connect_fault
from limen.upstream.connection import Connection
from limen.upstream.declared import Upstream
from limen.upstream.error import UpstreamError
from limen.upstream.network import Network
from limen.upstream.snapshot import UpstreamSnapshot
from limen.upstream.target import Target
from limen.upstream.tls import handshake_fault

# The least seconds between two checks of idle connections, and the most connections that one check, or one request, closes.
_LOOK: Final = 0.5
_MOST_CLOSED: Final = 64


class Pool:
    """Connections to ``target`` of ``upstream``."""

    def __init__(
        self,
        upstream: Upstream,
        target: Target,
        network: Network,
        tls: Callable[[], ssl.SSLContext | None],
        *,
        clock: Callable[[], float] = monotonic,
        keeps_idle: bool = True,
    ) -> None:
        """Open nothing yet.

        ``network`` is shared by pools. ``tls`` returns the context for a connection that is opened now. ``clock`` gives
        seconds that never go back. Without ``keeps_idle`` a connection serves one exchange.
        """
        self.upstream = upstream
        self.target = target
        self._network = network
        self._tls = tls
        self._clock = clock
        self._limits = upstream.limits
        self._most = upstream.limits.connections
        self._idle: list[Connection] = []  # the oldest first
        self._look: asyncio.TimerHandle | None = None  # the next check of idle connections
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._draining: list[asyncio.Future[None]] = []
        self._closed = False
        self._discards = not keeps_idle  # whatever comes back
        self._retired: set[Pool] | None = None  # of those that are retired: the ones still in use

    def idle(self) -> Connection | None:
        """Return an idle connection that is fit for use, or None; never waits, and never overtakes waiting requests."""
        return None if self._waiting else self._take()

    @property
    def used(self) -> int:
        """How many connections are in use or being opened."""
        return len(self._busy) + self._opening

    @property
    def waiting(self) -> int:
        """How many requests are in the queue."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Tell whether a request would have to wait in the queue."""
        return bool(self._waiting) or self.used >= self._most

    @property
    def in_use(self) -> bool:
        """Tell whether any connection is in use or being opened, or a request waits for one."""
        return bool(self._busy or self._opening or self._waiting)

    def _take(self) -> Connection | None:
        now = self._clock()
        left = _MOST_CLOSED  # the next request, or the next check, closes more
        while self._idle and left:
            connection = self._idle.pop()
            if connection.reusable and now - connection.idle_since < self._limits.keepalive:
                self._busy.add(connection)
                return connection
            left -= 1
            connection.abort()
        return None

    async def acquire(self, timeout: float | None) -> Connection:
        """Return an idle connection or open one, waiting in the queue when all are busy.

        ``timeout`` is in seconds, for waiting and connecting together; None is no bound. Raises UpstreamError with
        ``sent`` False.
        """
        self._loop = loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        if self._waiting or len(self._busy) + self._opening >= self._most:
            await self._wait(deadline)
        if self._closed:
            raise UpstreamError(Fault(Kind.SHUT_DOWN, cause="the gateway is shutting down"))
        return self._take() or await self._open(deadline)

    def release(self, connection: Connection) -> None:
        """Take a connection back; it is kept only if it may serve another exchange."""
        if connection not in self._busy:
            return
        self._busy.discard(connection)
        if self._discards or not connection.reusable:
            connection.abort()
        else:
            connection.idle_since = self._clock()
            self._idle.append(connection)
            if self._look is None:
                self._look_in(max(_LOOK, self._limits.keepalive))
        self._next()

    def snapshot(self) -> UpstreamSnapshot:
        """Return the current counts."""
        busy = len(self._busy) + self._opening
        return UpstreamSnapshot(self.upstream.name, len(self._idle), busy, len(self._waiting))

    async def drained(self) -> None:
        """Return once no connection is in use or being opened, and no request waits for one.

        The pool stays drained only if nothing acquires a connection any more, which the caller must ensure.
        """
        while self._busy or self._opening or self._waiting:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._draining.append(waiter)
            try:
                await waiter
            finally:
                self._draining.remove(waiter)

    def retire(self, in_use: "set[Pool]") -> None:
        """Close idle connections now, and those in use when they come back; while there are any, be in ``in_use``."""
        self._retired = in_use
        self._discards = True
        doomed, self._idle = self._idle, []
        if self._busy or self._opening or self._waiting:
            in_use.add(self)
        for connection in doomed:
            connection.close()

    async def aclose(self) -> None:
        """Close every connection; exchanges still running, or waiting for one, end with a fault."""
        self._closed = self._discards = True
        if self._look is not None:
            self._look.cancel()
            self._look = None
        doomed = [*self._idle, *self._busy]
        self._idle.clear()
        self._busy.clear()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._tell_drained()
        for connection in doomed:
            connection.close()
        # Transports call ``connection_lost`` in the next turns of the loop.
        await asyncio.sleep(0)

    def _look_in(self, seconds: float) -> None:
        if self._loop is not None:
            self._look = self._loop.call_later(seconds, self._close_old)

    def _close_old(self) -> None:
        """Close what has been idle for too long. The newest connections serve first, so no request meets the oldest."""
        least = self._clock() - self._limits.keepalive
        doomed: list[Connection] = []
        for connection in self._idle[:_MOST_CLOSED]:
            if connection.idle_since > least:
                break
            doomed.append(connection)
        del self._idle[: len(doomed)]
        self._look = None
        if len(doomed) == _MOST_CLOSED:
            self._look_in(0.0)  # after other work of the loop
        elif self._idle:
            # One check closes many connections that became idle one by one.
            self._look_in(max(_LOOK, self._idle[0].idle_since - least))
        for connection in doomed:
            connection.abort()

    def _lost(self, connection: Connection) -> None:
        if connection in self._busy:
            self._busy.discard(connection)
            self._next()
        elif connection in self._idle:
            self._idle.remove(connection)

    def _next(self) -> None:
        """Pass a freed place to the first in the queue, which stays there until its task runs: so nothing can overtake it.

        Called exactly once for each place that becomes free.
        """
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
                return
        if self._draining or self._retired is not None:
            self._tell_drained()

    def _tell_drained(self) -> None:
        """Wake ``drained`` if the pool is; it checks again, for the pool may be in use by then."""
        if self._busy or self._opening or self._waiting:
            return
        if self._retired is not None:
            self._retired.discard(self)
        for waiter in self._draining:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait(self, deadline: float | None) -> None:
        if len(self._waiting) >= self._limits.waiting:
            raise UpstreamError(Fault(Kind.POOL_EXHAUSTED, headers=RETRY_AFTER, cause=repr(self)))
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        if self._retired is not None:
            self._retired.add(self)
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except BaseException as error:
            if not waiter.cancelled():
                # The place was ours already: pass it on, or it would be lost.
                self._next()
            if isinstance(error, TimeoutError):
                raise UpstreamError(Fault(Kind.POOL_EXHAUSTED, headers=RETRY_AFTER, cause=repr(self))) from None
            raise
        finally:
            self._waiting.remove(waiter)
            self._tell_drained()

    async def _open(self, deadline: float | None) -> Connection:
        """Connect."""
        self._opening += 1
        if self._retired is not None:
            self._retired.add(self)
        target = self.target
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._connect(deadline)
        except BaseException as error:
            self._opening -= 1
            self._next()
            if isinstance(error, TimeoutError):
                raise UpstreamError(Fault(Kind.CONNECT_TIMEOUT, cause=f"connecting to {target}")) from None
            if isinstance(error, ssl.SSLError):
                raise UpstreamError(handshake_fault(target, error)) from None
            if isinstance(error, OSError):
                raise UpstreamError(connect_fault(target, error)) from None
            raise
        self._opening -= 1
        self._busy.add(connection)
        return connection

    async def _connect(self, deadline: float | None) -> Connection:
        """Return a connection. The caller enforces ``deadline``."""
        scheduler = scheduler_of(asyncio.get_running_loop())

        def make(kind: type[Connection]) -> Connection:
            return kind(self.target, self._limits.head, self._lost, scheduler)

        return await self._network.connect(self.upstream, self.target, make, self._tls, deadline)

    def __repr__(self) -> str:
        """Show the current counts."""
        now = self.snapshot()
        return f"<Pool {now.name} {self.target} {now.idle} idle {now.busy} busy {now.waiting} waiting>"
