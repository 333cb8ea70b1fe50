"""The memory that request bodies take in one worker: it is counted, and the costliest holders are cut when it is full.

These bytes are held: a declared body until it is checked, a body of a local endpoint until it is whole, a streamed body
that waits for a connection, and bytes that were read and not parsed. A body that streams holds nothing. What is on its way
to a service has another bound: the connections of its pool and the queue for them.
"""

from collections.abc import Callable
from time import monotonic
from typing import Protocol

# Holders are cut until an eighth of the bound is free, so that the next byte does not cut another one.
_FREED_DIVISOR = 8

# The eighths of the memory that are content. The rest is for the overhead of holding bodies: the pieces as they are read,
# the check of one of them, the allocator's gaps.
_CONTENT_EIGHTHS = 3


class Holder(Protocol):
    """A request that holds bytes of its body."""

    def cut(self) -> None:
        """Release the bytes and end: the worker holds too much. Nothing is counted for it any more."""
        ...


class BodyMemory:
    """All holders of one worker. Above ``most`` bytes, holders are cut in the order of their cost.

    The cost of a holder is its bytes times its seconds. An honest body is cheap: it is held for a moment, however large it
    is, and one that comes slowly in small pieces is small.
    """

    __slots__ = ("_holders", "_now", "most", "total")

    def __init__(self, most: int, now: Callable[[], float] = monotonic) -> None:
        """Nothing is held; ``most`` is in bytes, ``now`` gives seconds."""
        self.most = most
        self.total = 0
        self._now = now
        self._holders: dict[Holder, tuple[int, float]] = {}

    @classmethod
    def within(cls, memory: int, now: Callable[[], float] = monotonic) -> "BodyMemory":
        """Return one that takes ``memory`` bytes, the overhead of holding bodies included."""
        return cls(memory * _CONTENT_EIGHTHS // 8, now)

    def add(self, holder: Holder, size: int) -> None:
        """Count ``size`` more bytes for ``holder``; others, or itself, may be cut before this returns."""
        held, since = self._holders.get(holder) or (0, self._now())
        self._holders[holder] = (held + size, since)
        self.total += size
        if self.total > self.most:
            self._make_room()

    def drop(self, holder: Holder) -> None:
        """Stop counting what ``holder`` holds."""
        held, _ = self._holders.pop(holder, (0, 0.0))
        self.total -= held

    def _make_room(self) -> None:
        now = self._now()
        costs = {holder: held * (now - since) for holder, (held, since) in self._holders.items()}
        for holder in sorted(costs, key=costs.__getitem__, reverse=True):
            if self.total <= self.most - self.most // _FREED_DIVISOR:
                return
            if holder in self._holders:  # a cut may have ended others too, which share the connection
                self.drop(holder)
                holder.cut()

    def __len__(self) -> int:
        """Count the holders."""
        return len(self._holders)

    def __repr__(self) -> str:
        """Show how much is held."""
        return f"<BodyMemory {self.total} of {self.most} bytes held by {len(self)}>"
