"""Escaping of untrusted text for a line of the log: ASCII only, no blanks, bounded length.

So the text cannot end a line, forge a field, or send control codes to a terminal.
"""

from typing import Final

_ELLIPSIS: Final = "..."


def escaped(text: str, most: int) -> str:
    """Return ``text`` with all but visible ASCII as Python escapes, cut to ``most`` characters with ``...`` at the end.

    A backslash is escaped too, so that what looks like an escape is one.
    """
    if len(text) <= most and text.isascii() and text.isprintable() and " " not in text and "\\" not in text:
        return text
    # The first ``most + 1`` characters are enough: none of them becomes shorter.
    result = text[: most + 1].encode("unicode_escape").decode().replace(" ", "\\x20")
    return result if len(result) <= most else result[: most - len(_ELLIPSIS)] + _ELLIPSIS


def quoted(text: str, most: int) -> str:
    """Return ``text`` in quotes, with non-ASCII escaped, cut like ``escaped``; blanks stay blanks."""
    result = ascii(text[: most + 1])[1:-1]
    return "'" + (result if len(result) <= most else result[: most - len(_ELLIPSIS)] + _ELLIPSIS) + "'"
