"""Lines of text on their way to a file that may be slow: a thread of its own writes them, so that nobody else ever waits.

A terminal can be paused and a pipe full because nobody reads: whoever writes then, waits for as long as that lasts. What
waits here is bounded; beyond that lines are dropped and counted. Once everything that waited is written, one line tells how
many are missing, in the place where they would have been.
"""

import os
import select
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_BYTES: Final = 1024 * 1024
"""Bytes of lines that may wait."""

# Bytes that are taken at once from what waits.
_GATHERED: Final = 65536


class LineWriter:
    """Writes what it is given, in that order, with ``write``: a function such as ``os.write`` of one file.

    ``notice`` makes the line that tells how many are missing. ``piece`` is how many bytes are written at once,
    always of whole lines unless one is longer: up to PIPE_BUF, what several processes write to one pipe does not mix.
    ``most`` is how many may wait.
    """

    def __init__(
        self,
        write: Callable[[bytes], int],
        notice: Callable[[int], bytes],
        *,
        piece: int = _GATHERED,
        most: int = MOST_BYTES,
    ) -> None:
        """Begin with nothing; the thread is started with the first line."""
        self._write = write
        self._notice = notice
        self._piece = piece
        self._most = most
        self._reset()
        _alive.add(self)

    def _reset(self) -> None:
        lock = threading.RLock()  # a signal handler may log in the midst of it
        self._filled = threading.Condition(lock)
        self._drained = threading.Condition(lock)
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._size = 0  # bytes that wait, with those that are being written
        self._dropped = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, data: bytes, lines: int = 1) -> None:
        """Take whole lines, ``lines`` of them; never waits for a reader."""
        with self._filled:
            # Once some are dropped, all are until everything is written: what is missing is missing in one place.
            if self._closed or self._size + len(data) > self._most or (self._dropped and self._size):
                self._dropped += lines
                return
            self._size += len(data)
            self._waiting.append((data, lines))
            if self._thread is None:
                self._start()
            self._filled.notify()

    def drain(self, seconds: float) -> bool:
        """Wait until everything is written, for so many seconds at most; tell whether it is."""
        with self._drained:
            return self._drained.wait_for(lambda: not self._size, seconds)

    def close(self) -> None:
        """Take nothing more; the thread ends when it has written what waits."""
        with self._filled:
            self._closed = True
            self._filled.notify()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="limen-log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter ends, or there are too many threads just now: the next line tries again
            self._thread = None

    def _run(self) -> None:
        while True:
            with self._filled:
                while not self._waiting and not self._closed:
                    self._filled.wait()
                if not self._waiting:
                    return
                data, lines = self._take()
            written = self._written(data)
            with self._drained:
                self._size -= len(data)
                if not written:
                    self._dropped += lines
                elif self._dropped and not self._waiting:
                    self._tell()
                if not self._waiting:
                    self._drained.notify_all()

    def _take(self) -> tuple[bytes, int]:
        """Return the next lines: what has waited is joined, as a call for each line would be dear."""
        data, lines = self._waiting.popleft()
        if not self._waiting or len(data) + len(self._waiting[0][0]) > _GATHERED:
            return data, lines
        parts, size = [data], len(data)
        while self._waiting and size + len(self._waiting[0][0]) <= _GATHERED:
            data, more = self._waiting.popleft()
            parts.append(data)
            size += len(data)
            lines += more
        return b"".join(parts), lines

    def _tell(self) -> None:
        """Say how many are missing; should that fail, they are missing still."""
        data = self._notice(self._dropped)
        self._waiting.append((data, self._dropped))
        self._size += len(data)
        self._dropped = 0

    def _written(self, data: bytes) -> bool:
        """Write ``data``, however long that takes; False if it cannot be: no reader is left, or no room."""
        try:
            while data:
                piece = data[: self._end(data)]
                data = data[len(piece) :]
                while piece:
                    piece = piece[self._write(piece) :]
        except OSError:
            return False
        return True

    def _end(self, data: bytes) -> int:
        """Return how much of ``data`` is written at once."""
        if len(data) <= self._piece:
            return len(data)
        # Where no line ends in time there is one that is longer: it is written alone.
        return (data.rfind(b"\n", 0, self._piece) + 1) or (data.find(b"\n") + 1) or len(data)

    def __repr__(self) -> str:
        """Show how much waits, and how much is missing."""
        return f"<LineWriter {self._size} bytes waiting, {self._dropped} lines dropped>"


def write_to(descriptor: int) -> Callable[[bytes], int]:
    """Return what writes to ``descriptor`` and waits until it can, also where somebody has made it non-blocking."""

    def write(data: bytes) -> int:
        while True:
            try:
                return os.write(descriptor, data)
            except BlockingIOError:
                select.select((), (descriptor,), ())

    return write


_alive: Final = weakref.WeakSet[LineWriter]()


def _forked() -> None:
    """Begin anew in a child: the thread is the parent's, and so is what waited."""
    for writer in _alive:
        writer._reset()  # pyright: ignore[reportPrivateUsage] - the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
