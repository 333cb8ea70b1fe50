"""A thread that writes lines of text to a file that may be slow, so that nothing else waits for it.

A terminal may be paused, or a pipe full because nobody reads: a write then blocks. The queue here is bounded; lines above the
bound are dropped and counted. Once the queue is written, one line says how many are missing, in the place of the missing
lines.
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

# Bytes of waiting lines that are written together.
_BATCH: Final = 65536


class LineWriter:
    """Writes lines in order with ``write``, a function such as ``os.write`` of one file.

    ``notice`` makes the line that says how many lines are missing. ``piece`` bounds the bytes of one call of ``write``, which
    are whole lines unless one is longer: up to PIPE_BUF, writes of several processes to one pipe do not mix. ``most`` bounds
    the bytes that wait.
    """

    def __init__(
        self,
        write: Callable[[bytes], int],
        notice: Callable[[int], bytes],
        *,
        piece: int = _BATCH,
        most: int = MOST_BYTES,
    ) -> None:
        """The queue is empty; the first line starts the thread."""
        self._write = write
        self._notice = notice
        self._piece = piece
        self._most = most
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        lock = threading.RLock()  # a signal handler may log while it is held
        self._filled = threading.Condition(lock)
        self._drained = threading.Condition(lock)
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._size = 0  # bytes that wait or are being written
        self._dropped = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, data: bytes, lines: int = 1) -> None:
        """Queue ``data``, which is ``lines`` whole lines; never blocks."""
        with self._filled:
            # After a drop, all lines are dropped until the queue is empty: the missing lines are in one place.
            if self._closed or self._size + len(data) > self._most or (self._dropped and self._size):
                self._dropped += lines
                return
            self._size += len(data)
            self._waiting.append((data, lines))
            if self._thread is None:
                self._start()
            self._filled.notify()

    def drain(self, seconds: float) -> bool:
        """Wait until everything is written, for ``seconds`` at most; tell whether it is."""
        with self._drained:
            return self._drained.wait_for(lambda: not self._size, seconds)

    def close(self) -> None:
        """Accept nothing more; the thread ends when the queue is written."""
        with self._filled:
            self._closed = True
            self._filled.notify()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="limen-log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter ends, or there are too many threads: the next line tries again
            self._thread = None

    def _run(self) -> None:
        while True:
            with self._filled:
                while not self._waiting and not self._closed:
                    self._filled.wait()
                if not self._waiting:
                    return
                data, lines = self._take()
            written = self._write_all(data)
            with self._drained:
                self._size -= len(data)
                if not written:
                    self._dropped += lines
                elif self._dropped and not self._waiting:
                    self._queue_notice()
                if not self._waiting:
                    self._drained.notify_all()

    def _take(self) -> tuple[bytes, int]:
        """Return the next lines, joined: a call of ``write`` for each line would be expensive."""
        data, lines = self._waiting.popleft()
        if not self._waiting or len(data) + len(self._waiting[0][0]) > _BATCH:
            return data, lines
        parts, size = [data], len(data)
        while self._waiting and size + len(self._waiting[0][0]) <= _BATCH:
            data, more = self._waiting.popleft()
            parts.append(data)
            size += len(data)
            lines += more
        return b"".join(parts), lines

    def _queue_notice(self) -> None:
        """Queue the line about missing lines. It stands for them: if it cannot be written, they are counted again."""
        data = self._notice(self._dropped)
        self._waiting.append((data, self._dropped))
        self._size += len(data)
        self._dropped = 0

    def _write_all(self, data: bytes) -> bool:
        """Write ``data``, however long that takes; False if it fails: there is no reader, or no space."""
        try:
            while data:
                piece = data[: self._piece_size(data)]
                data = data[len(piece) :]
                while piece:
                    piece = piece[self._write(piece) :]
        except OSError:
            return False
        return True

    def _piece_size(self, data: bytes) -> int:
        """Return how many bytes of ``data`` are written next."""
        if len(data) <= self._piece:
            return len(data)
        # If no line ends within the piece, the first line is longer: it is written alone.
        return (data.rfind(b"\n", 0, self._piece) + 1) or (data.find(b"\n") + 1) or len(data)

    def __repr__(self) -> str:
        """Show how many bytes wait, and how many lines are missing."""
        return f"<LineWriter {self._size} bytes waiting, {self._dropped} lines dropped>"


def write_to(descriptor: int) -> Callable[[bytes], int]:
    """Return a function that writes to ``descriptor`` and blocks, even if another process made it non-blocking."""

    def write(data: bytes) -> int:
        while True:
            try:
                return os.write(descriptor, data)
            except BlockingIOError:
                select.select((), (descriptor,), ())

    return write


_writers: Final = weakref.WeakSet[LineWriter]()


def _reset_after_fork() -> None:
    """Reset all writers in a child: the thread and the queue are the parent's."""
    for writer in _writers:
        writer._reset()  # pyright: ignore[reportPrivateUsage] - the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
