"""Where an exception came from, for the log, and not what it says: its text may repeat a password, a token or a claim."""

import logging
import traceback
from collections.abc import Iterator

# Exceptions of one chain that are shown, and frames of each.
_CAUSES_SHOWN = 5
_FRAMES_SHOWN = 50


class Untold(logging.Filter):
    """Of the exceptions of a logger's records, places are written, and no texts. Handlers still find the exception itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Give the record the text of its exception, which formatters would make otherwise."""
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = traced(record.exc_info[1])
            if record.name == "asyncio":  # which shows tasks with their exceptions
                record.msg, record.args = record.getMessage().partition("\n")[0], None
        return True


_UNTOLD = Untold()


def logger(name: str) -> logging.Logger:
    """Return the logger of that ``name``, which writes of exceptions where they came from, and not what they say."""
    found = logging.getLogger(name)
    found.addFilter(_UNTOLD)  # once, however often it is asked for
    return found


def traced(error: BaseException) -> str:
    """Return the kinds of ``error`` and of what caused it, with the places in the sources; no text of theirs."""
    told = ["\n".join(_one(one)) for one in _chain(error)]
    return "\n\nwhich led to:\n\n".join(reversed(told))


def _one(error: BaseException) -> Iterator[str]:
    yield f"{type(error).__module__}.{type(error).__qualname__}, most recent call last:"
    for frame in traceback.extract_tb(error.__traceback__, limit=-_FRAMES_SHOWN):
        yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
        if frame.line:
            yield f"    {frame.line}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    left: BaseException | None = error
    for _ in range(_CAUSES_SHOWN):
        if left is None:
            return
        yield left
        left = left.__cause__ or (None if left.__suppress_context__ else left.__context__)
