"""Tracebacks without the texts of exceptions, for the log: a text may repeat a password, a token or a claim."""

import logging
import traceback
from collections.abc import Iterator

# Exceptions of one chain that are shown, and frames of each exception.
_CAUSES_SHOWN = 5
_FRAMES_SHOWN = 50


class ExceptionTextFilter(logging.Filter):
    """Removes the texts of exceptions from a logger's records. Handlers still find the exception itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the record's ``exc_text``, which formatters would make otherwise."""
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = format_traceback(record.exc_info[1])
            if record.name == "asyncio":  # its message shows tasks with their exceptions
                record.msg, record.args = record.getMessage().partition("\n")[0], None
        return True


_FILTER = ExceptionTextFilter()


def logger(name: str) -> logging.Logger:
    """Return the logger ``name``, with a filter that removes the texts of exceptions."""
    result = logging.getLogger(name)
    result.addFilter(_FILTER)  # has no effect the second time
    return result


def format_traceback(error: BaseException) -> str:
    """Return the types and tracebacks of ``error`` and its causes, without their texts."""
    tracebacks = ["\n".join(_format(each)) for each in _chain(error)]
    return "\n\nwhich led to:\n\n".join(reversed(tracebacks))


def _format(error: BaseException) -> Iterator[str]:
    yield f"{type(error).__module__}.{type(error).__qualname__}, most recent call last:"
    for frame in traceback.extract_tb(error.__traceback__, limit=-_FRAMES_SHOWN):
        yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
        if frame.line:
            yield f"    {frame.line}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(_CAUSES_SHOWN):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
