"""Where an exception comes from in the user's own sources: file, line, and the line itself with a mark under the place."""

import linecache
import os
import sysconfig
import traceback
from pathlib import Path

# Whose lines nobody who declares a gateway can mend: Python's, what is installed, and limen's own.
_LIBRARIES = (
    "<",  # what is frozen into Python, and what dataclasses write
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
)

# The longest piece of a source line that is shown, in characters: that much of it around the mark.
_SHOWN = 160


def described(error: BaseException) -> str:
    """Say what is wrong and where, at the last line that is the user's, not at one of a library that it calls."""
    wrong = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.msg:
        wrong = f"{type(error).__name__}: {error.msg}"  # its text names the file once more, without the folder
    elif isinstance(error, KeyError):
        frames = traceback.extract_tb(error.__traceback__)
        if frames and frames[-1].filename in ("<frozen os>", os.__file__):
            wrong = f"{error.args[0]} is not set in the environment"
    return wrong + place(error, " ")


def place(error: BaseException, before: str, *, source: bool = True) -> str:
    """Return ``before``, file and line in brackets, and the source line if wanted; nothing when no place is known."""
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<") and error.lineno:
        start = max((error.offset or 1) - 1, 0)
        end = error.end_offset - 1 if error.end_offset and error.end_lineno == error.lineno else start + 1
        text = linecache.getline(error.filename, error.lineno) or error.text or ""
        return _shown(before, error.filename, error.lineno, text if source else "", start, end)
    all_frames = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in all_frames if "importlib" not in frame.filename]
    frames = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)] or frames
    if not frames:
        return ""
    last = frames[-1]
    text = linecache.getline(last.filename, last.lineno or 0)
    start = _characters(text, last.colno)
    end = _characters(text, last.end_colno) if last.end_lineno == last.lineno else len(text.rstrip())
    return _shown(before, last.filename, last.lineno or 0, text if source else "", start, end)


def _characters(text: str, offset: int | None) -> int:
    """Turn an offset in bytes, as the compiler counts, into one in characters."""
    return len(text.encode()[: offset or 0].decode(errors="replace"))


def _shown(before: str, file: str, line: int, text: str, start: int, end: int) -> str:
    found = f"{before}({file}, line {line})"
    if not text.strip():
        return found
    # One column each, or the mark would not stand under its place; and no control codes for a terminal.
    plain = "".join(each if each.isprintable() else " " for each in text.rstrip())
    first = len(plain) - len(plain.lstrip())
    if len(plain) - first > _SHOWN:
        first = max(first, min(start - _SHOWN // 2, len(plain) - _SHOWN))
    plain = plain[first : first + _SHOWN].rstrip()
    start = min(max(start - first, 0), _SHOWN)
    width = max(min(end - first, len(plain)) - start, 1)
    return f"{found}\n    {plain}\n    {' ' * start}{'^' * width}"
