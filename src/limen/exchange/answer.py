"""The head of an answer on its way to the client; policies of the phases "answer head" and "encode" may change it."""

from typing import Literal

from limen.http.headers import Headers

Source = Literal["upstream", "cache", "local"]
"""Who made an answer: the service, a policy that had it already, or the gateway itself."""


class Answer:
    """Status and header lines of an answer, without what frames it.

    ``lines`` are a list of the answer's own: names are lower-case bytes, and it may be changed in place. ``length`` is how
    many bytes of content follow, None where that is not known before they have come; a ``content-length`` among the lines
    says the same. Who changes the length of the content takes both away.
    """

    __slots__ = ("length", "lines", "source", "status")

    def __init__(self, status: int, lines: Headers, length: int | None, source: Source) -> None:
        """Keep what was answered."""
        self.status = status
        self.lines = lines
        self.length = length
        self.source: Source = source

    def __repr__(self) -> str:
        """Show status and source; no header."""
        return f"<Answer {self.status} {self.source}>"
