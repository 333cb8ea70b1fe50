"""One active check of one target: a GET on a connection of its own, and in words what was wrong with the answer.

1. connect through the upstream's network and TLS; no pool gives the connection or counts it
2. GET the path, with ``connection: close``; nothing is followed
3. the answer is complete, or ``MOST_CONTENT`` bytes of it have come: its status decides
4. the connection is closed, whatever has come

``timeout`` bounds all of it, ``Limits(head=)`` the head.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from limen.errors import Fault
from limen.fairness.scheduler import scheduler_of
from limen.http.headers import Headers
from limen.upstream import request
from limen.upstream.connect_fault import connect_fault
from limen.upstream.connection import Connection
from limen.upstream.declared import Upstream
from limen.upstream.health import Health
from limen.upstream.network import Network
from limen.upstream.target import Target
from limen.upstream.tls import handshake_fault

MOST_CONTENT: Final = 64 * 1024
"""Bytes of content that are read; what comes after them has no say."""

LONGEST_PROBLEM: Final = 200
"""Characters of a reason; it is shown, logged and told to other workers."""

# Seconds after which a loop has polled its sockets again: what came while the loop was blocked came in time.
_POLL: Final = 0.001

_HEADERS: Final[Headers] = [
    (b"accept", b"*/*"),
    (b"user-agent", b"limen-health-check"),
    (b"connection", b"close"),
]


async def check_target(
    upstream: Upstream,
    health: Health,
    target: Target,
    network: Network,
    tls: Callable[[], ssl.SSLContext | None],
) -> str:
    """Check ``target`` of ``upstream``; return what is wrong, nothing if it is well. Raises only for a bug."""
    loop = asyncio.get_running_loop()
    scheduler = scheduler_of(loop)
    begun = loop.time()

    def make(kind: type[Connection]) -> Connection:
        return kind(target, upstream.limits.head, _ignore, scheduler)

    try:
        async with asyncio.timeout_at(begun + health.timeout):
            connection = await network.connect(upstream, target, make, tls, begun + health.timeout)
    except TimeoutError:
        return f"no connection within {health.timeout:g} s"
    except ssl.SSLError as error:
        return _words(handshake_fault(target, error))
    except OSError as error:
        return _words(connect_fault(target, error))
    answer = _CheckAnswer(loop, health)
    timer = loop.call_later(begun + health.timeout - loop.time(), answer.expire)
    try:
        head = request.head(b"GET", health.path.encode("ascii"), target.authority, _HEADERS, b"", b"")
        connection.start(answer, b"GET", head, whole=True)
        return await answer.problem
    finally:
        timer.cancel()
        answer.cancel_timer()
        connection.abort()


class _CheckAnswer:
    """Receives the answer; ``problem`` is done once it is known whether it is a good one."""

    __slots__ = ("_health", "_left", "_loop", "_status", "_timer", "problem")

    def __init__(self, loop: asyncio.AbstractEventLoop, health: Health) -> None:
        """Wait for the head."""
        self.problem: asyncio.Future[str] = loop.create_future()
        self._loop = loop
        self._health = health
        self._status = 0
        self._left = MOST_CONTENT
        self._timer: asyncio.TimerHandle | None = None

    def head(self, status: int, reason: bytes, headers: Headers) -> None:
        """Keep the status."""
        self._status = status

    def body(self, data: bytes) -> None:
        """Count the content; enough of it is an answer."""
        self._left -= len(data)
        if self._left <= 0:
            self.end()

    def flush(self) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Judge by the status."""
        self._done("" if self._health.good(self._status) else f"an answer of {self._status}")

    def fault(self, fault: Fault) -> None:
        """The answer is cut or invalid."""
        self._done(_words(fault))

    def expire(self) -> None:
        """The time is over: let what has come be read first."""
        self._timer = self._loop.call_later(
            _POLL, self._done, f"no {'whole ' if self._status else ''}answer within {self._health.timeout:g} s"
        )

    def cancel_timer(self) -> None:
        """Let no timer survive the check."""
        if self._timer is not None:
            self._timer.cancel()

    def _done(self, problem: str) -> None:
        if not self.problem.done():
            self.problem.set_result(problem)


def _words(fault: Fault) -> str:
    return (fault.cause or fault.text)[:LONGEST_PROBLEM]


def _ignore(connection: Connection) -> None:
    """Do nothing: no pool has to know that it is lost."""
