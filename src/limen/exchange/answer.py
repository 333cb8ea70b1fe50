"""The head of an answer on its way to the client. Policies may change it in the phases "answer head" and "encode"."""

from typing import Literal

from limen.http.headers import Headers

Source = Literal["upstream", "cache", "local"]
"""Who made an answer: the service, a policy that had stored it, or the gateway itself."""


class Answer:
    """Status and header lines of an answer, without framing.

    ``lines`` is a list of the answer's own and may be changed in place; names are lower-case bytes. ``length`` is the number
    of bytes of content, None while that is unknown; a ``content-length`` among the lines says the same. A policy that changes
    the length of the content removes both.
    """

    __slots__ = ("length", "lines", "source", "status")

    def __init__(self, status: int, lines: Headers, length: int | None, source: Source) -> None:
        """Hold the head of an answer."""
        self.status = status
        self.lines = lines
        self.length = length
        self.source: Source = source

    def __repr__(self) -> str:
        """Show status and source; no header."""
        return f"<Answer {self.status} {self.source}>"
