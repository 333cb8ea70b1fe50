"""How text that others have chosen is written into a line of the log: in ASCII, without blanks, never longer than allowed.

So nobody can end a line, forge a field of it, or speak to the terminal that shows it.
"""

from typing import Final

_CUT: Final = "..."


def escaped(text: str, most: int) -> str:
    """Return ``text`` with all but visible ASCII as Python escapes, in at most ``most`` characters; what is cut ends so.

    A backslash is escaped too, so that what looks like an escape is one.
    """
    if len(text) <= most and text.isascii() and text.isprintable() and " " not in text and "\\" not in text:
        return text
    # The first characters are enough: none of them becomes shorter.
    found = text[: most + 1].encode("unicode_escape").decode().replace(" ", "\\x20")
    return found if len(found) <= most else found[: most - len(_CUT)] + _CUT


def quoted(text: str, most: int) -> str:
    """Return ``text`` in quotes, ASCII alone, with its first ``most`` characters at most; blanks stay blanks."""
    found = ascii(text[: most + 1])[1:-1]
    return "'" + (found if len(found) <= most else found[: most - len(_CUT)] + _CUT) + "'"
