"""How one attempt at one target ended."""

from limen.errors import Fault


class AttemptResult:
    """What the hook ``attempt_ended`` gets, exactly once for each attempt.

    ``target`` is the address that was tried, empty without a connection. ``fault`` is what went wrong; it is None for a whole
    answer, and for one that nobody waited for any more. ``sent`` says that some of the request went out, ``reused`` that the
    connection had served before, ``answered`` that some of an answer came. ``status`` is that of the answer, 0 for none.
    ``seconds`` is how long the attempt took.
    """

    __slots__ = ("answered", "fault", "reused", "seconds", "sent", "status", "target")

    def __init__(
        self, target: str, fault: Fault | None, *, sent: bool, reused: bool, answered: bool, status: int, seconds: float
    ) -> None:
        """Keep what happened."""
        self.target = target
        self.fault = fault
        self.sent = sent
        self.reused = reused
        self.answered = answered
        self.status = status
        self.seconds = seconds

    def __repr__(self) -> str:
        """Show the target and the result."""
        end = self.fault.kind.code if self.fault is not None else self.status or "given up"
        return f"<AttemptResult {self.target or '-'} {end}>"
