"""The location of an exception in the user's own sources: file, line, and the source line with a mark under the place."""

import linecache
import os
import sysconfig
import traceback
from pathlib import Path

# Sources that the user cannot change: Python's, those of installed packages, and limen's own.
_LIBRARIES = (
    "<",  # frozen modules, and code that dataclasses generate
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
)

# Characters of a source line that are shown at most, around the mark.
_SHOWN_WIDTH = 160


def describe(error: BaseException) -> str:
    """Return the error and its location: the last line of the user's code, not one of a library that it calls."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.msg:
        text = f"{type(error).__name__}: {error.msg}"  # str(error) repeats the name of the file
    elif isinstance(error, KeyError):
        frames = traceback.extract_tb(error.__traceback__)
        if frames and frames[-1].filename in ("<frozen os>", os.__file__):
            text = f"{error.args[0]} is not set in the environment"
    return text + source_location(error, " ")


def source_location(error: BaseException, before: str, *, source: bool = True) -> str:
    """Return ``before``, file and line in brackets, and the source line if wanted; empty when there is no location."""
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<") and error.lineno:
        start = max((error.offset or 1) - 1, 0)
        end = error.end_offset - 1 if error.end_offset and error.end_lineno == error.lineno else start + 1
        text = linecache.getline(error.filename, error.lineno) or error.text or ""
        return _format(before, error.filename, error.lineno, text if source else "", start, end)
    all_frames = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in all_frames if "importlib" not in frame.filename]
    frames = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)] or frames
    if not frames:
        return ""
    last = frames[-1]
    text = linecache.getline(last.filename, last.lineno or 0)
    start = _characters(text, last.colno)
    end = _characters(text, last.end_colno) if last.end_lineno == last.lineno else len(text.rstrip())
    return _format(before, last.filename, last.lineno or 0, text if source else "", start, end)


def _characters(text: str, offset: int | None) -> int:
    """Convert an offset in bytes, as the compiler counts, to one in characters."""
    return len(text.encode()[: offset or 0].decode(errors="replace"))


def _format(before: str, file: str, line: int, text: str, start: int, end: int) -> str:
    location = f"{before}({file}, line {line})"
    if not text.strip():
        return location
    # One column for each character, so that the mark stands in its place; and no control codes for a terminal.
    plain = "".join(each if each.isprintable() else " " for each in text.rstrip())
    first = len(plain) - len(plain.lstrip())
    if len(plain) - first > _SHOWN_WIDTH:
        first = max(first, min(start - _SHOWN_WIDTH // 2, len(plain) - _SHOWN_WIDTH))
    plain = plain[first : first + _SHOWN_WIDTH].rstrip()
    start = min(max(start - first, 0), _SHOWN_WIDTH)
    width = max(min(end - first, len(plain)) - start, 1)
    return f"{location}\n    {plain}\n    {' ' * start}{'^' * width}"
