"""The log handler of ``limen serve``, which never blocks its caller.

All lines of the process go through one writer, in order. The access log comes here as finished lines
(``limen.observe.access``), everything else as records.
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
"""Seconds that a stop waits at most until the log is written."""

# Control codes, and whatever some readers take for the end of a line. Tracebacks have line ends and tabs.
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class LineFormatter(logging.Formatter):
    """Formats records as lines. ``uvicorn.error``, uvicorn's logger for everything, is shown as ``uvicorn``."""

    def __init__(self, *, many: bool = False) -> None:
        """With ``many`` processes that write to one file, each line has the process id."""
        super().__init__(f"%(asctime)s %(levelname)s{' [%(process)d]' if many else ''} %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines, without control codes."""
        if record.name == "uvicorn.error":
            record = copy.copy(record)  # other handlers get the same record
            record.name = "uvicorn"
        return _UNPRINTABLE.sub(_escape, super().format(record))


class LineHandler(logging.Handler):
    """Hands lines to a ``LineWriter`` on standard error, or on ``descriptor``, which it does not close."""

    flush_first: ClassVar[list[Callable[[], None]]] = []
    """Called before each record: they write what was logged earlier and is not formatted yet."""

    def __init__(self, *, many: bool = False, descriptor: int | None = None) -> None:
        """With ``many`` processes that write to one pipe, writes are small enough to be atomic."""
        super().__init__()
        self._line_formatter = LineFormatter(many=many)
        self.formatter = self._line_formatter
        self.process = f" [{os.getpid()}]" if many else ""
        # A duplicate: if standard error is closed, its number may be reused for another file.
        self._descriptor = _standard_error() if descriptor is None else os.dup(descriptor)
        shared = many and stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)
        write = write_to(self._descriptor)
        self.writer = (
            LineWriter(write, self._dropped_notice, piece=getattr(select, "PIPE_BUF", 512))
            if shared
            else LineWriter(write, self._dropped_notice)
        )

    def accepts_lines(self) -> bool:
        """Tell whether a finished line may replace a record: formatter and filters are unchanged."""
        return self.formatter is self._line_formatter and not self.filters

    def handle(self, record: logging.LogRecord) -> bool:
        """Flush earlier lines, then handle ``record``.

        The flush is outside the handler's lock: the access log has its own lock, whose holder may be waiting for this one.
        """
        for flush in self.flush_first:
            flush()
        return super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Format and write ``record``."""
        if record.name == "uvicorn.error" and isinstance(record.msg, str) and '"WebSocket ' in record.msg:
            return  # uvicorn's access log of WebSockets, which has the query; the gateway logs its own line
        try:
            line = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
        else:
            self.writer.put(line.encode(errors="backslashreplace"))

    def flush(self) -> None:
        """Wait until everything is written, for ``DRAIN`` seconds at most. For the end of a process."""
        for flush in self.flush_first:
            flush()
        self.writer.drain(DRAIN)

    def close(self) -> None:
        """Accept nothing more."""
        self.writer.close()
        super().close()

    def _dropped_notice(self, count: int) -> bytes:
        were = "line was" if count == 1 else "lines were"
        record = logging.LogRecord(
            "limen.log", logging.WARNING, "", 0, f"{count} {were} dropped: nobody read the log", None, None
        )
        return (self._line_formatter.format(record) + "\n").encode()


def _standard_error() -> int:
    try:
        return os.dup(sys.stderr.fileno())
    except (AttributeError, io.UnsupportedOperation, OSError):  # there is none, so nobody reads it
        return os.open(os.devnull, os.O_WRONLY)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
