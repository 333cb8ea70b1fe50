"""Text as lines that end with a line feed, and with nothing else: ``str.splitlines`` splits at form feeds and others too."""

from collections.abc import Iterable


def split(text: str) -> list[str]:
    """Return the lines of ``text``."""
    return text.removesuffix("\n").split("\n")


def joined(lines: Iterable[str]) -> str:
    """Return the text of ``lines``."""
    return "".join(f"{line}\n" for line in lines)
