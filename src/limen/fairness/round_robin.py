"""A round-robin queue: networks of clients take turns, so one network's flood delays the others by one item per round."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class RoundRobinQueue(Generic[T]):
    """One first-in, first-out queue per network; ``take`` serves the networks in turn."""

    __slots__ = ("_order", "_queues")

    def __init__(self) -> None:
        """The queue is empty."""
        self._queues: dict[object, deque[T]] = {}
        self._order: deque[object] = deque()  # the network that is served next comes first

    def add(self, item: T, network: object) -> None:
        """Append ``item`` to the queue of ``network``."""
        queue = self._queues.get(network)
        if queue is None:
            queue = self._queues[network] = deque()
            self._order.append(network)
        queue.append(item)

    def take(self) -> T:
        """Remove and return the first item of the next network; raises IndexError when the queue is empty."""
        network = self._order.popleft()
        queue = self._queues[network]
        item = queue.popleft()
        if queue:
            self._order.append(network)
        else:
            del self._queues[network]
        return item

    def remove(self, item: T, network: object) -> None:
        """Remove ``item`` from the queue of ``network``; raises KeyError or ValueError if it is not there."""
        queue = self._queues[network]
        queue.remove(item)
        if not queue:
            del self._queues[network]
            self._order.remove(network)

    def __bool__(self) -> bool:
        """Tell whether there is an item."""
        return bool(self._order)

    def __len__(self) -> int:
        """Count the items of all networks."""
        return sum(map(len, self._queues.values()))

    def __repr__(self) -> str:
        """Show the number of items and networks."""
        return f"<RoundRobinQueue {len(self)} of {len(self._order)} networks>"
