"""A semaphore with a bounded, fair queue: no client keeps the others out.

1. one client has at most ``each`` of the places
2. free places go to the clients in turn, and within a client to the request that has waited longest
3. when the queue is full, a new request replaces the last one of the client that has most in it, if that has more
"""

import asyncio
from collections import Counter, OrderedDict, deque

Place = asyncio.Future[bool]
"""The result is True when the place was granted, and False when a request of another client replaced this one."""


class FairQueue:
    """``places`` at once, of which one client has at most ``each``; ``waiting`` bounds the queue of all clients together."""

    __slots__ = ("_each", "_in_use", "_most_waiting", "_places", "_queues", "_used_by", "waiting")

    def __init__(self, places: int, waiting: int, each: int) -> None:
        """All places are free."""
        self._places = places
        self._each = each
        self._most_waiting = waiting
        self._in_use = 0
        self._used_by: Counter[bytes] = Counter()
        self._queues: OrderedDict[bytes, deque[Place]] = OrderedDict()
        self.waiting = 0

    def ask(self, client: bytes) -> Place | None:
        """Return a place, which may have to be waited for with ``granted``; None when the queue is full."""
        if self._in_use < self._places and self._used_by[client] < self._each:
            place: Place = asyncio.get_running_loop().create_future()
            self._take(client, place)
            return place
        if self.waiting >= self._most_waiting and not self._make_room(client):
            return None
        place = asyncio.get_running_loop().create_future()
        self._queues.setdefault(client, deque()).append(place)
        self.waiting += 1
        return place

    async def granted(self, client: bytes, place: Place, seconds: float | None) -> bool:
        """Wait at most ``seconds`` for ``place``, None is no bound; tell whether it was granted.

        If so, ``leave`` must be called in the end.
        """
        try:
            async with asyncio.timeout(seconds):
                return await place
        except BaseException as error:
            if place.cancelled() or not place.done():
                self._forget(client, place)
            elif place.result():
                self.leave(client)
            if isinstance(error, TimeoutError):
                return False
            raise

    def leave(self, client: bytes) -> None:
        """Give a place back; the next client in the queue gets it."""
        self._in_use -= 1
        self._used_by[client] -= 1
        if not self._used_by[client]:
            del self._used_by[client]
        self._next()

    def _next(self) -> None:
        """Grant a free place to the next client that may have one."""
        while True:
            # Clients that are passed over have all places that one may have, so they are few.
            client = next((each for each in self._queues if self._used_by[each] < self._each), None)
            if client is None:
                return
            queue = self._queues.pop(client)
            place = queue.popleft()
            self.waiting -= 1
            if queue:
                self._queues[client] = queue  # behind all others
            if not place.done():  # else it was cancelled just now, and its waiter has not run yet
                self._take(client, place)
                return

    def _take(self, client: bytes, place: Place) -> None:
        self._in_use += 1
        self._used_by[client] += 1
        place.set_result(True)

    def _make_room(self, client: bytes) -> bool:
        """Drop the last request of the longest queue, if ``client`` has less waiting than its share."""
        own = len(self._queues.get(client, ()))
        share = self._most_waiting // (len(self._queues) + (not own))
        if share < 2 or own >= share:  # nearly always in a flood: cheaper than looking for the longest queue
            return False
        longest = max(self._queues, key=lambda each: len(self._queues[each]))
        if len(self._queues[longest]) <= own + 1:
            return False
        place = self._queues[longest][-1]
        self._forget(longest, place)
        if not place.done():
            place.set_result(False)
        return True

    def _forget(self, client: bytes, place: Place) -> None:
        queue = self._queues.get(client, ())
        if place in queue:
            self._queues[client].remove(place)
            self.waiting -= 1
            if not self._queues[client]:
                del self._queues[client]

    def __repr__(self) -> str:
        """Show how many places are taken and how many requests wait; never whose."""
        return (
            f"<FairQueue {self._in_use} of {self._places} taken, {self.waiting} in line, {len(self._queues)} clients>"
        )
