"""Where ``limen serve`` writes its log: a handler of the standard library's logging that never makes anybody wait.

Everything that the process says goes through one writer, in the order in which it was said. The access log comes here as
finished lines (``limen.observe.access``), everything else as records.
"""

import copy
import io
import logging
import os
import re
import select
import stat
import sys
from collections.abc import Callable
from typing import ClassVar, Final

from limen.observe.writer import LineWriter, write_to

DRAIN: Final = 2.0
"""Seconds that a stop waits for somebody to read what was said, at most."""

# What could speak to a terminal, or begin a line for some readers. Traces have line ends and tabs.
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class LineFormatter(logging.Formatter):
    """uvicorn calls the logger of all that it says ``uvicorn.error``; shown is ``uvicorn``, as most of it is no error."""

    def __init__(self, *, many: bool = False) -> None:
        """Of ``many`` processes that write to one file, each says which it is."""
        super().__init__(f"%(asctime)s %(levelname)s{' [%(process)d]' if many else ''} %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines, with nothing in them that a terminal would obey."""
        if record.name == "uvicorn.error":
            record = copy.copy(record)  # other handlers get it too
            record.name = "uvicorn"
        return _UNPRINTABLE.sub(_escape, super().format(record))


class LineHandler(logging.Handler):
    """Hands lines to a ``LineWriter`` on standard error, or on ``descriptor``, which it does not close."""

    ahead: ClassVar[list[Callable[[], None]]] = []
    """Called before anything else is said: what was said before and is not formatted yet."""

    def __init__(self, *, many: bool = False, descriptor: int | None = None) -> None:
        """Of ``many`` processes that write to one pipe, none must write into another's line."""
        super().__init__()
        self._own = LineFormatter(many=many)
        self.formatter = self._own
        self.process = f" [{os.getpid()}]" if many else ""
        # A copy: whoever closes standard error must not make the log go to whatever has its number next.
        self._descriptor = _standard_error() if descriptor is None else os.dup(descriptor)
        shared = many and stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)
        write = write_to(self._descriptor)
        self.writer = (
            LineWriter(write, self._missing, piece=getattr(select, "PIPE_BUF", 512))
            if shared
            else LineWriter(write, self._missing)
        )

    def plain(self) -> bool:
        """Tell whether a finished line may take the place of a record: nobody has changed how records are shown."""
        return self.formatter is self._own and not self.filters

    def handle(self, record: logging.LogRecord) -> bool:
        """Say what was said before, then this. The first without the handler's lock: what is kept has a lock of its own, and
        whoever holds that one may want this one.
        """
        for say in self.ahead:
            say()
        return super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        if record.name == "uvicorn.error" and isinstance(record.msg, str) and '"WebSocket ' in record.msg:
            return  # its own access log, with the query; the gateway has a line of its own
        try:
            line = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
        else:
            self.writer.put(line.encode(errors="backslashreplace"))

    def flush(self) -> None:
        """Wait until everything is written, for ``DRAIN`` seconds at most. For the end of a process."""
        for say in self.ahead:
            say()
        self.writer.drain(DRAIN)

    def close(self) -> None:
        """Take nothing more."""
        self.writer.close()
        super().close()

    def _missing(self, count: int) -> bytes:
        were = "line was" if count == 1 else "lines were"
        record = logging.LogRecord(
            "limen.log", logging.WARNING, "", 0, f"{count} {were} dropped: nobody read the log", None, None
        )
        return (self._own.format(record) + "\n").encode()


def _standard_error() -> int:
    try:
        return os.dup(sys.stderr.fileno())
    except (AttributeError, io.UnsupportedOperation, OSError):  # there is none: then nobody wants to read it
        return os.open(os.devnull, os.O_WRONLY)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
