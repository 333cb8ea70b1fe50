"""Places that many clients want at once, and a bounded line for those who have to wait: none of them keeps the others out.

1. one client has at most ``each`` of the places
2. places that become free go to the clients in turn, and for each of them to who has waited longest
3. in a full line, whoever comes takes the place of the last one of the client that has most in it, if that has more
"""

import asyncio
from collections import Counter, OrderedDict, deque

Place = asyncio.Future[bool]
"""True is a place, False is none: its client has more in line than others, and one of these came."""


class FairQueue:
    """``places`` at once, of which one client has at most ``each``; ``waiting`` may be in line, all clients together."""

    __slots__ = ("_each", "_lines", "_places", "_taken", "_used", "_waiting", "waiting")

    def __init__(self, places: int, waiting: int, each: int) -> None:
        """All places are free."""
        self._places = places
        self._each = each
        self._waiting = waiting
        self._used = 0
        self._taken: Counter[bytes] = Counter()
        self._lines: OrderedDict[bytes, deque[Place]] = OrderedDict()
        self.waiting = 0

    def ask(self, client: bytes) -> Place | None:
        """Return a place, or one to wait for with ``granted``; None where the line is full."""
        if self._used < self._places and self._taken[client] < self._each:
            place: Place = asyncio.get_running_loop().create_future()
            self._take(client, place)
            return place
        if self.waiting >= self._waiting and not self._make_room(client):
            return None
        place = asyncio.get_running_loop().create_future()
        self._lines.setdefault(client, deque()).append(place)
        self.waiting += 1
        return place

    async def granted(self, client: bytes, place: Place, seconds: float) -> bool:
        """Wait at most ``seconds`` for ``place``; tell whether it is had. If so, ``leave`` must be called in the end."""
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
        """Give a place back: it goes to the next client in line."""
        self._used -= 1
        self._taken[client] -= 1
        if not self._taken[client]:
            del self._taken[client]
        self._next()

    def _next(self) -> None:
        """Give a free place to the next in line, if it is for one of these."""
        while True:
            # Those passed over have all that one client may have, so they are few.
            client = next((one for one in self._lines if self._taken[one] < self._each), None)
            if client is None:
                return
            line = self._lines.pop(client)
            place = line.popleft()
            self.waiting -= 1
            if line:
                self._lines[client] = line  # behind all others
            if not place.done():  # else it was given up just now, and who waits for it has not run yet
                self._take(client, place)
                return

    def _take(self, client: bytes, place: Place) -> None:
        self._used += 1
        self._taken[client] += 1
        place.set_result(True)

    def _make_room(self, client: bytes) -> bool:
        """Send the last one of the longest line away, if ``client`` has less in line than its share."""
        own = len(self._lines.get(client, ()))
        share = self._waiting // (len(self._lines) + (not own))
        if share < 2 or own >= share:  # nearly always, in a flood: without a look at who has most
            return False
        longest = max(self._lines, key=lambda one: len(self._lines[one]))
        if len(self._lines[longest]) <= own + 1:
            return False
        place = self._lines[longest][-1]
        self._forget(longest, place)
        if not place.done():
            place.set_result(False)
        return True

    def _forget(self, client: bytes, place: Place) -> None:
        line = self._lines.get(client, ())
        if place in line:
            self._lines[client].remove(place)
            self.waiting -= 1
            if not self._lines[client]:
                del self._lines[client]

    def __repr__(self) -> str:
        """Show how many are in and in line; never who."""
        return f"<FairQueue {self._used} of {self._places} taken, {self.waiting} in line, {len(self._lines)} clients>"
