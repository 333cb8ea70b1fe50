"""A line in which networks of clients take turns, so that each waits for its own, and for one of every other network."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """First in, first out within a network."""

    __slots__ = ("_lines", "_order")

    def __init__(self) -> None:
        """Nobody is in line."""
        self._lines: dict[object, deque[T]] = {}
        self._order: deque[object] = deque()  # the network whose turn it is first

    def add(self, one: T, network: object) -> None:
        """Put ``one`` at the end of what ``network`` has in line."""
        line = self._lines.get(network)
        if line is None:
            line = self._lines[network] = deque()
            self._order.append(network)
        line.append(one)

    def take(self) -> T:
        """Take the first of the network whose turn it is; raises IndexError when nobody is in line."""
        network = self._order.popleft()
        line = self._lines[network]
        one = line.popleft()
        if line:
            self._order.append(network)
        else:
            del self._lines[network]
        return one

    def remove(self, one: T, network: object) -> None:
        """Take ``one`` of ``network`` out, whose turn has not come; raises KeyError or ValueError if it is not in line."""
        line = self._lines[network]
        line.remove(one)
        if not line:
            del self._lines[network]
            self._order.remove(network)

    def __bool__(self) -> bool:
        """Tell whether somebody is in line."""
        return bool(self._order)

    def __len__(self) -> int:
        """Count them."""
        return sum(map(len, self._lines.values()))

    def __repr__(self) -> str:
        """Show how many there are."""
        return f"<Line {len(self)} of {len(self._order)} networks>"
