"""The connections to one target: idle ones, last in first out; busy ones, bounded; and a queue of requests for one.

A private connection (``limen.upstream.private_connections``) is busy, too, while it waits for the next request of its client.
State changes first, I/O after: the synchronous parts leave the pool consistent before anything is awaited or closed.
"""

import asyncio
import math
import ssl
from collections import deque
from collections.abc import Callable
from random import Random
from time import monotonic
from typing import Final

from limen.errors import RETRY_AFTER, Fault, Kind
from limen.fairness.scheduler import scheduler_of
from limen.upstream.connect_fault import connect_fault
from limen.upstream.connection import Connection
from limen.upstream.declared import Upstream
from limen.upstream.error import UpstreamError
from limen.upstream.network import Network
from limen.upstream.private_connections import PrivateConnection
from limen.upstream.snapshot import UpstreamSnapshot
from limen.upstream.target import Target
from limen.upstream.tls import handshake_fault

# The least seconds between two checks of idle connections, and the most connections that one check, or one request, closes.
_LOOK: Final = 0.5
_MOST_CLOSED: Final = 64

# By which share of it the life of a connection is shorter, at most, so that those opened together do not end together.
_JITTER: Final = 0.1


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
        random: Random | None = None,
        keeps_idle: bool = True,
    ) -> None:
        """Open nothing yet.

        ``network`` is shared by pools. ``tls`` returns the context for a connection that is opened now. ``clock`` gives
        seconds that never go back. Without ``keeps_idle`` a connection serves one exchange.
        """
        self._random = Random() if random is None else random  # noqa: S311 - for lives that differ
        self.upstream = upstream
        self.target = target
        self._network = network
        self._tls = tls
        self._clock = clock
        self._limits = upstream.limits
        self._keepalive: float = float(
            upstream.limits.keepalive
        )  # seconds; an attribute of what is not compiled is slow
        self._most = upstream.limits.connections
        self._idle: list[Connection] = []  # the oldest first
        self._look: asyncio.TimerHandle | None = None  # the next check of idle connections
        self._look_at: float = math.inf  # by the clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy: set[Connection] = set()
        self._private: dict[Connection, PrivateConnection] = {}  # of those busy: the ones that wait for their client
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._draining: list[asyncio.Future[None]] = []
        self._closed = False
        self._discards = not keeps_idle  # whatever comes back
        self._retired: set[Pool] | None = None  # of those that are retired: the ones still in use

    def idle(self) -> Connection | None:
        """Return an idle connection that is fit for use, or None; never waits, and never overtakes waiting requests."""
        return None if self._waiting else self._take(self._clock())

    def idle_at(self, now: float) -> Connection | None:
        """As ``idle``, for a caller that has just asked the clock."""
        return None if self._waiting else self._take(now)

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
        return bool(self._waiting) or (self.used >= self._most and not self._private)

    @property
    def in_use(self) -> bool:
        """Tell whether any connection is in use or being opened, or a request waits for one."""
        return bool(self._busy or self._opening or self._waiting)

    def _take(self, now: float) -> Connection | None:
        left = _MOST_CLOSED  # the next request, or the next check, closes more
        while self._idle and left:
            connection = self._idle.pop()
            if connection.reusable and now < connection.idle_until:
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
            if self._private:
                self._give_way()
            if self._waiting or len(self._busy) + self._opening >= self._most:
                await self._wait(deadline)
        if self._closed:
            raise UpstreamError(Fault(Kind.SHUT_DOWN, cause="the gateway is shutting down"))
        return self._take(self._clock()) or await self._open(deadline)

    def release(self, connection: Connection) -> None:
        """Take a connection back; it is kept only if it may serve another exchange."""
        if connection not in self._busy:
            return
        self._busy.discard(connection)
        now, until = self._clock(), connection.expires_at
        if until <= now or self._discards or connection.private or not connection.reusable:
            connection.abort()
        else:
            connection.idle_until = self._idle_until(now, until)
            self._idle.append(connection)
            if connection.idle_until < self._look_at:
                self._look_by(connection.idle_until, now)
        self._next()

    def _idle_until(self, now: float, expires_at: float) -> float:
        until = now + self._keepalive
        return until if until < expires_at else expires_at

    # --- private connections ---

    def keep_private(self, private: PrivateConnection) -> bool:
        """Let a private connection wait for the next request of its client; False if it was closed, as its time is over."""
        connection = private.connection
        if connection not in self._busy:
            return False
        now = self._clock()
        # A handshake that is cut has to begin anew, and the next could be cut as well.
        expires_at = math.inf if private.handshake else connection.expires_at
        if expires_at <= now or self._discards or not connection.reusable:
            self.release(connection)
            return False
        private.idle_until = self._idle_until(now, expires_at)
        self._private[connection] = private
        if private.idle_until < self._look_at:
            self._look_by(private.idle_until, now)
        return True

    def take_private(self, private: PrivateConnection) -> bool:
        """Tell whether a private connection serves its client again, from now on; else it is closed."""
        connection = private.connection
        if self._private.pop(connection, None) is None:
            return False
        if connection.reusable and self._clock() < private.idle_until:
            return True
        self.release(connection)
        return False

    def end_private(self, private: PrivateConnection) -> None:
        """Close a private connection that waits: its client will not use it any more."""
        if self._private.pop(private.connection, None) is not None:
            self.release(private.connection)

    def _give_way(self) -> None:
        """Close the private connection that has waited longest: a request must not wait for one that nobody uses."""
        private = next(iter(self._private.values()))
        private.owner.forget(private)
        self.end_private(private)

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
        private, self._private = self._private, {}
        for connection, one in private.items():
            one.owner.forget(one)
            self.release(connection)
        if self._busy or self._opening or self._waiting:
            in_use.add(self)
        for connection in doomed:
            connection.close()

    async def aclose(self) -> None:
        """Close every connection; exchanges still running, or waiting for one, end with a fault."""
        self._closed = self._discards = True
        if self._look is not None:
            self._look.cancel()
            self._look, self._look_at = None, math.inf
        doomed = [*self._idle, *self._busy]
        for private in self._private.values():
            private.owner.forget(private)
        self._idle.clear()
        self._busy.clear()
        self._private.clear()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._tell_drained()
        for connection in doomed:
            connection.close()
        # Transports call ``connection_lost`` in the next turns of the loop.
        await asyncio.sleep(0)

    def _look_by(self, until: float, now: float) -> None:
        """Look at idle connections at ``until``, or soon after, unless a look is due before."""
        at = max(until, now + _LOOK)
        if at < self._look_at:
            if self._look is not None:
                self._look.cancel()
            self._look_in(at - now, at)

    def _look_in(self, seconds: float, at: float) -> None:
        if self._loop is not None:
            self._look_at = at
            self._look = self._loop.call_later(seconds, self._close_old)

    def _close_old(self) -> None:
        """Close what has been idle for too long, and what may serve no further request."""
        now = self._clock()
        soonest, more = math.inf, False
        doomed: list[Connection] = []
        for connection in self._idle:
            if connection.idle_until > now:
                soonest = min(soonest, connection.idle_until)
            elif len(doomed) < _MOST_CLOSED:
                doomed.append(connection)
            else:
                more = True
                break
        if doomed:
            gone = set(doomed)
            self._idle = [connection for connection in self._idle if connection not in gone]
        over: list[PrivateConnection] = []
        for private in self._private.values():
            if private.idle_until <= now:
                over.append(private)
            else:
                soonest = min(soonest, private.idle_until)
        self._look, self._look_at = None, math.inf
        if more:
            self._look_in(0.0, now)  # after other work of the loop
        elif soonest < math.inf:
            # One check closes many connections that became idle one by one.
            self._look_by(soonest, now)
        for connection in doomed:
            connection.abort()
        for private in over:
            private.owner.forget(private)
            self.end_private(private)

    def _lost(self, connection: Connection) -> None:
        if connection in self._busy:
            self._busy.discard(connection)
            private = self._private.pop(connection, None)
            if private is not None:
                private.owner.forget(private)
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
        connection.expires_at = self._clock() + self._life()
        self._busy.add(connection)
        return connection

    async def _connect(self, deadline: float | None) -> Connection:
        """Return a connection. The caller enforces ``deadline``."""
        scheduler = scheduler_of(asyncio.get_running_loop())

        def make(kind: type[Connection]) -> Connection:
            return kind(self.target, self._limits.head, self._lost, scheduler)

        return await self._network.connect(self.upstream, self.target, make, self._tls, deadline)

    def _life(self) -> float:
        lifetime = self._limits.lifetime
        return math.inf if lifetime is None else lifetime * (1.0 - _JITTER * self._random.random())

    def __repr__(self) -> str:
        """Show the current counts."""
        now = self.snapshot()
        return f"<Pool {now.name} {self.target} {now.idle} idle {now.busy} busy {now.waiting} waiting>"
