"""Which idle connection makes room for a new one, when all places of a worker are taken: the one idle for the longest.

nginx does the same (``worker_connections`` are reused). It costs nothing until the limit is reached: no list of idle
connections is kept. A search looks at all connections and remembers a batch of the longest idle; those are then used one
by one, unless something has come on them since. Searches are bounded, so that a flood of new connections does not make
the worker search all the time: on average a newcomer pays for ``SHARE`` looks, or the last search was ``PAUSE`` ago.
"""

import asyncio
import heapq
import logging
from collections.abc import Collection
from operator import itemgetter
from typing import Any, Final

logger = logging.getLogger("limen.clients")

# Looks at a connection that each newcomer pays for.
SHARE: Final = 64

# Seconds after which the next search may happen in any case.
PAUSE: Final = 0.05

# Seconds between two lines in the log that say that places are scarce.
REPORT_INTERVAL: Final = 60.0


class Idle:
    """One worker's. ``leaving`` counts connections that have made room and are not gone yet, ``looks`` is for tests."""

    __slots__ = ("_credit", "_longest", "_loop", "_reported_at", "_searched", "leaving", "looks")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing has been searched."""
        self._loop = loop
        self._longest: list[tuple[float, Any]] = []  # since when and who; the longest idle is the last
        self._credit = 0
        self._searched = self._reported_at = -REPORT_INTERVAL
        self.leaving = 0
        self.looks = 0

    def make_room(self, connections: Collection[Any]) -> bool:
        """Close the one that is idle for the longest; False if none is idle, or the next search is not due yet."""
        size = len(connections)
        self._credit += SHARE
        while True:
            while self._longest:
                since, one = self._longest.pop()
                if one.idle_since() == since:
                    self._report(size)
                    one.give_way()
                    return True
            now = self._loop.time()
            if self._credit < size and now - self._searched < PAUSE:
                return False
            self._credit = 0
            self._searched = now
            self._longest = self._search(connections)
            if not self._longest:
                return False

    def _search(self, connections: Collection[Any]) -> list[tuple[float, Any]]:
        self.looks += len(connections)
        found: list[tuple[float, Any]] = []
        for one in connections:
            idle_since = getattr(one, "idle_since", None)  # a WebSocket has none
            since: float | None = None if idle_since is None else idle_since()
            if since is not None:
                found.append((since, one))
        longest = heapq.nsmallest(len(connections) // SHARE + 1, found, key=itemgetter(0))
        longest.reverse()
        return longest

    def _report(self, size: int) -> None:
        now = self._loop.time()
        if now - self._reported_at >= REPORT_INTERVAL:
            self._reported_at = now
            logger.warning("%d client connections: those that are idle for the longest make room for new ones", size)

    def __repr__(self) -> str:
        """Show what a search has left."""
        return f"<Idle {len(self._longest)} found {self.leaving} leaving>"
