"""The queue of heavy validations: at most one runs in each turn of the event loop.

pydantic keeps the GIL, so a thread would not help (10 MiB of JSON: 749 ms in the loop, 848 ms in a thread). Instead, routes
bound the size of a validation, and the loop serves everything else between two of them. A request needs several turns, and
would meet another validation in each: so a long validation is followed by a rest, the longer the longer it took.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, TypeVar

from limen.errors import RETRY_AFTER, Fault, Kind

# Bytes of JSON that are checked at once: 16 KiB of ordinary JSON take 0.5 ms. Less than 1 KiB takes no longer, whatever it
# holds.
LIGHT: Final = 16384
_TINY: Final = 1024

# Values of JSON that is checked at once. An object or array counts as four more: the cost is in their number, not their size.
LIGHT_VALUES: Final = 4096

# Validations that wait at once in one worker, and their bytes.
MOST_WAITING: Final = 256
MOST_BYTES: Final = 16 * 1024 * 1024

# JSON of a bounded size may hold one value for every so many bytes of the bound, and one object or array.
BYTES_OF_A_VALUE: Final = 4
BYTES_OF_A_CONTAINER: Final = 16

# After a validation of more than LONG seconds, the next waits REST times as long as the excess. 256 KiB of ordinary JSON take
# 6 ms, and the rest is as long; 1 MiB of it in long strings takes 9 ms, and the rest is 15.
LONG: Final = 0.004
REST: Final = 3

# The smallest validation runs first; every fourth turn runs the oldest.
_OLDEST_EVERY: Final = 4

FULL: Final = Fault(
    Kind.OVERLOADED,
    "Too much JSON waits to be checked.",
    cause="the line of heavy validations is full",
    headers=RETRY_AFTER,
)

T = TypeVar("T")


class NotDone:
    """The result of work that is not done: it is called again in another turn."""


NOT_DONE: Final = NotDone()


def heavy(content: bytes) -> bool:
    """Tell whether checking ``content``, which is JSON, may take longer than about 0.5 ms."""
    size = len(content)
    if size <= _TINY:
        return False
    return size > LIGHT or content.count(b",") + 4 * (content.count(b"{") + content.count(b"[")) > LIGHT_VALUES


@dataclass(frozen=True, slots=True)
class MostValues:
    """How many values JSON of a bounded size may hold: one for every 4 bytes, an object or array for every 16.

    Real data has fewer. Without this bound, 256 KiB of ``{},`` are 87,000 objects, which take 20 times as long as 256 KiB of
    data.
    """

    values: int
    containers: int

    @classmethod
    def of(cls, size: int) -> "MostValues":
        """Return the bound for JSON of at most ``size`` bytes."""
        return cls(max(4096, size // BYTES_OF_A_VALUE), max(1024, size // BYTES_OF_A_CONTAINER))

    def passed(self, content: bytes) -> bool:
        """Tell whether the JSON ``content`` holds more."""
        if self._passed(content):
            # Count again without strings. Escaped backslashes are removed first: then ``\"`` is an escaped quote for sure.
            plain = content.replace(b"\\\\", b"").replace(b'\\"', b"")
            return self._passed(b"".join(plain.split(b'"')[::2]))
        return False

    def _passed(self, content: bytes) -> bool:
        containers = content.count(b"{") + content.count(b"[")
        return containers > self.containers or containers + content.count(b",") > self.values

    def __str__(self) -> str:
        """Return the bound as the end of a sentence."""
        return f"{self.values:,} values, {self.containers:,} of them objects and arrays"


class _QueuedWork:
    __slots__ = ("future", "size", "work")

    def __init__(self, size: int, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.size = size
        self.work = work
        self.future = future


class Validations:
    """The queue of one worker, bounded in number and in bytes."""

    __slots__ = ("_bytes", "_now", "_rests_until", "_running", "_turn", "_waiting")

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        """The queue is empty; ``now`` gives seconds."""
        self._now = now
        self._rests_until = now()
        self._waiting: list[_QueuedWork] = []  # in the order in which they came
        self._bytes = 0
        self._turn = 0
        self._running: asyncio.Handle | None = None

    def ask(self, size: int, work: Callable[[], T | NotDone]) -> "asyncio.Future[T] | None":
        """Queue ``work``, a check of ``size`` bytes, and return its future result; None when the queue is full.

        Work that returns ``NOT_DONE`` keeps its place and runs again in another turn. A cancelled future leaves the queue.
        """
        if len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
            return None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        entry = _QueuedWork(size, work, future)
        self._waiting.append(entry)
        self._bytes += size
        future.add_done_callback(lambda _: self._remove(entry))
        if self._running is None:
            self._go_on(loop)
        return future

    def close(self) -> None:
        """Cancel everything that waits."""
        if self._running is not None:
            self._running.cancel()
            self._running = None
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        for entry in waiting:
            entry.future.cancel()

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        rest = self._rests_until - self._now()
        self._running = loop.call_later(rest, self._next) if rest > 0 else loop.call_soon(self._next)

    def _next(self) -> None:
        self._running = None
        while self._waiting:
            self._turn += 1
            oldest = self._turn % _OLDEST_EVERY == 0
            entry = self._waiting[0] if oldest else min(self._waiting, key=_size)
            if entry.future.done():
                self._remove(entry)
                continue  # cancelled in this very turn: its callback has not run yet
            begun = self._now()
            try:
                result = entry.work()
            except Exception as error:
                self._remove(entry)
                entry.future.set_exception(error)
            else:
                if result is not NOT_DONE:
                    self._remove(entry)
                    entry.future.set_result(result)
            ended = self._now()
            if ended - begun > LONG:
                self._rests_until = ended + REST * (ended - begun - LONG)
            if self._waiting:
                self._go_on(asyncio.get_running_loop())
            return

    def _remove(self, entry: _QueuedWork) -> None:
        if entry in self._waiting:
            self._waiting.remove(entry)
            self._bytes -= entry.size

    def __repr__(self) -> str:
        """Show how much waits."""
        return f"<Validations {len(self._waiting)} waiting {self._bytes} bytes>"


def _size(entry: _QueuedWork) -> int:
    return entry.size
