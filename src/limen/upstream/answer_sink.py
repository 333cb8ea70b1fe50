"""The receiver of an answer, as a connection sees it: four calls and an end."""

from typing import Protocol

from limen.errors import Fault
from limen.http.headers import Headers


class AnswerSink(Protocol):
    """Receives an answer. After ``end`` or ``fault`` nothing more is called."""

    def head(self, status: int, reason: bytes, headers: Headers) -> None:
        """Take the head of the final answer."""
        ...

    def body(self, data: bytes) -> None:
        """Take a piece of content."""
        ...

    def flush(self) -> None:
        """Nothing more has come for now, and the answer is not complete: pass on what is held back."""
        ...

    def end(self) -> None:
        """The answer is complete."""
        ...

    def fault(self, fault: Fault) -> None:
        """The answer will not be complete, because of ``fault``."""
        ...
