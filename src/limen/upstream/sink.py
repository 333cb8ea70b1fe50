"""What an exchange shows to its connection: four calls and an end, and nothing of how they come to be made."""

from typing import Protocol

from limen.errors import Fault
from limen.http.headers import Headers


class Sink(Protocol):
    """Who takes an answer. After ``end`` or ``fault`` nothing more is called."""

    def head(self, status: int, reason: bytes, headers: Headers) -> None:
        """Take the head of the final answer."""
        ...

    def body(self, data: bytes) -> None:
        """Take a piece of content."""
        ...

    def flush(self) -> None:
        """Take note that nothing more has come for now, and that the answer is not whole."""
        ...

    def end(self) -> None:
        """Take note that the answer is whole."""
        ...

    def fault(self, fault: Fault) -> None:
        """Take note that the answer will not become whole."""
        ...
