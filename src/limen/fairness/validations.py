"""The line in which heavy validations wait for their turn: one runs in each turn of the event loop.

pydantic keeps the GIL, so a thread would not help (10 MiB of JSON: 749 ms in the loop, 848 ms in a thread). What is heavy is
bounded by its route instead, and between two of them everybody else is served. One request needs several turns, and would
meet another validation in each: so after one that took long, the next waits, the longer the longer it was.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, TypeVar

from limen.errors import AGAIN, Fault, Kind

# What is checked at once: 16 KiB of ordinary JSON take 0.5 ms. Below 1 KiB whatever it holds takes no longer.
LIGHT: Final = 16384
_TINY: Final = 1024

# Its values, an object or array counted as four more: what costs is how many there are, however small.
LIGHT_VALUES: Final = 4096

# In line at once, per worker.
MOST_WAITING: Final = 256
MOST_BYTES: Final = 16 * 1024 * 1024

# What JSON may hold, by the bytes that it may have: a value for every so many, and an object or array.
BYTES_OF_A_VALUE: Final = 4
BYTES_OF_A_CONTAINER: Final = 16

# Seconds of one validation that are free, and how many times as long as what it took beyond them the next is put off. 256 KiB
# of ordinary JSON take 6 ms and leave the others as much; 1 MiB of it in long strings takes 9, and leaves 15.
LONG: Final = 0.004
REST: Final = 3

# The smallest goes first; every fourth turn is that of the one that has waited longest.
_OLDEST_EVERY: Final = 4

FULL: Final = Fault(
    Kind.OVERLOADED, "Too much JSON waits to be checked.", cause="the line of heavy validations is full", headers=AGAIN
)

T = TypeVar("T")


class More:
    """What work returns that is not done: it is asked again in another turn."""


MORE: Final = More()


def heavy(content: bytes) -> bool:
    """Tell whether checking ``content``, which is JSON, may take longer than about 0.5 ms."""
    size = len(content)
    if size <= _TINY:
        return False
    return size > LIGHT or content.count(b",") + 4 * (content.count(b"{") + content.count(b"[")) > LIGHT_VALUES


@dataclass(frozen=True, slots=True)
class MostValues:
    """How much JSON may hold where it may have ``size`` bytes: a value for every 4, an object or array for every 16.

    Real data has fewer. Without this, 256 KiB of ``{},`` are 87,000 objects, and take 20 times as long as 256 KiB of data.
    """

    values: int
    containers: int

    @classmethod
    def of(cls, size: int) -> "MostValues":
        """Return what is bounded by ``size`` bytes."""
        return cls(max(4096, size // BYTES_OF_A_VALUE), max(1024, size // BYTES_OF_A_CONTAINER))

    def passed(self, content: bytes) -> bool:
        """Tell whether the JSON ``content`` holds more."""
        if self._passed(content):
            # Once more without strings. Escaped backslashes go first, then an escaped quote is one for sure.
            plain = content.replace(b"\\\\", b"").replace(b'\\"', b"")
            return self._passed(b"".join(plain.split(b'"')[::2]))
        return False

    def _passed(self, content: bytes) -> bool:
        containers = content.count(b"{") + content.count(b"[")
        return containers > self.containers or containers + content.count(b",") > self.values

    def __str__(self) -> str:
        """Say it in a sentence that begins with who may hold it."""
        return f"{self.values:,} values, {self.containers:,} of them objects and arrays"


class _Waiting:
    __slots__ = ("future", "size", "work")

    def __init__(self, size: int, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.size = size
        self.work = work
        self.future = future


class Validations:
    """One worker's line. Bounded in number and in bytes that it holds."""

    __slots__ = ("_bytes", "_now", "_rests_until", "_running", "_turn", "_waiting")

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        """Nobody waits; ``now`` gives seconds."""
        self._now = now
        self._rests_until = now()
        self._waiting: list[_Waiting] = []  # in the order in which they came
        self._bytes = 0
        self._turn = 0
        self._running: asyncio.Handle | None = None

    def ask(self, size: int, work: Callable[[], T | More]) -> "asyncio.Future[T] | None":
        """Return what ``work`` will give, on ``size`` bytes, in a turn of its own; None when the line is full.

        Work that gives ``MORE`` keeps its place, and has another turn. Whoever cancels leaves the line.
        """
        if len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
            return None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        one = _Waiting(size, work, future)
        self._waiting.append(one)
        self._bytes += size
        future.add_done_callback(lambda _: self._leave(one))
        if self._running is None:
            self._go_on(loop)
        return future

    def close(self) -> None:
        """Give up whatever waits."""
        if self._running is not None:
            self._running.cancel()
            self._running = None
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        for one in waiting:
            one.future.cancel()

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        rest = self._rests_until - self._now()
        self._running = loop.call_later(rest, self._next) if rest > 0 else loop.call_soon(self._next)

    def _next(self) -> None:
        self._running = None
        while self._waiting:
            self._turn += 1
            oldest = self._turn % _OLDEST_EVERY == 0
            one = self._waiting[0] if oldest else min(self._waiting, key=_size)
            if one.future.done():
                self._leave(one)
                continue  # cancelled in this very turn: its callback is still to come
            begun = self._now()
            try:
                made = one.work()
            except Exception as error:
                self._leave(one)
                one.future.set_exception(error)
            else:
                if made is not MORE:
                    self._leave(one)
                    one.future.set_result(made)
            ended = self._now()
            if ended - begun > LONG:
                self._rests_until = ended + REST * (ended - begun - LONG)
            if self._waiting:
                self._go_on(asyncio.get_running_loop())
            return

    def _leave(self, one: _Waiting) -> None:
        if one in self._waiting:
            self._waiting.remove(one)
            self._bytes -= one.size

    def __repr__(self) -> str:
        """Show how long the line is."""
        return f"<Validations {len(self._waiting)} waiting {self._bytes} bytes>"


def _size(one: _Waiting) -> int:
    return one.size
