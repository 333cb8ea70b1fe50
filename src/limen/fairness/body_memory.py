"""The request bodies that one worker holds: how many bytes they are together, and who gives way when they are too many.

Held is what cannot go on yet: a declared body until it is checked, and one of a local endpoint until it is whole; a streamed
one that waits for a connection; bytes that were read and not parsed. One that streams holds nothing. What is on its way to a
service is bounded otherwise: by the requests that one may have in use and in line.
"""

from collections.abc import Callable
from time import monotonic
from typing import Protocol

# The part of the bound that is free again after holders had to give way: so that it does not begin anew with each byte.
_FREED = 8

# The part of the memory that is content, in eighths. The rest is for what holding bodies takes besides: the pieces as they
# are read, what checks one of them, the allocator's gaps.
_CONTENT = 3


class Holder(Protocol):
    """What holds bytes of a request."""

    def cut(self) -> None:
        """Give them up, and end: the worker holds too much. Nothing is counted for it any more."""
        ...


class Bodies:
    """All holders of one worker. Where they hold more than ``most`` bytes, those that hold much for long give way first.

    What a holder is worth is its bytes times its seconds: an honest body is held for a moment, however large it is, and one
    that comes slowly in small pieces is small.
    """

    __slots__ = ("_holders", "_now", "most", "total")

    def __init__(self, most: int, now: Callable[[], float] = monotonic) -> None:
        """Nothing is held; ``most`` is in bytes, ``now`` gives seconds."""
        self.most = most
        self.total = 0
        self._now = now
        self._holders: dict[Holder, tuple[int, float]] = {}

    @classmethod
    def within(cls, memory: int) -> "Bodies":
        """Return one that takes ``memory`` bytes with all that holding takes."""
        return cls(memory * _CONTENT // 8)

    def add(self, holder: Holder, size: int) -> None:
        """Count ``size`` more bytes for ``holder``; others, or itself, may be cut before this returns."""
        held, since = self._holders.get(holder) or (0, self._now())
        self._holders[holder] = (held + size, since)
        self.total += size
        if self.total > self.most:
            self._make_room()

    def drop(self, holder: Holder) -> None:
        """Count nothing for ``holder`` any more."""
        held, _ = self._holders.pop(holder, (0, 0.0))
        self.total -= held

    def _make_room(self) -> None:
        now = self._now()
        worth = {holder: held * (now - since) for holder, (held, since) in self._holders.items()}
        for holder in sorted(worth, key=worth.__getitem__, reverse=True):
            if self.total <= self.most - self.most // _FREED:
                return
            if (
                holder in self._holders
            ):  # one that was cut before may have taken others with it: they share a connection
                self.drop(holder)
                holder.cut()

    def __len__(self) -> int:
        """Count the holders."""
        return len(self._holders)

    def __repr__(self) -> str:
        """Show how much is held."""
        return f"<Bodies {self.total} of {self.most} bytes held by {len(self)}>"
