"""How one attempt at one target ended."""

from limen.errors import Fault


class AttemptResult:
    """What is told of an attempt, exactly once, when it is over.

    ``target`` is the address that was tried, empty where no connection to any was had. ``fault`` is what was wrong, None for
    an answer that came whole, or that nobody waited for any more. ``sent`` says that some of the request went out, ``reused``
    that this was on a connection that had served before, ``answered`` that some of an answer came; ``status`` is its status,
    0 for none. ``seconds`` is how long the attempt took.
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
        """Show the target and what came of it."""
        end = self.fault.kind.code if self.fault is not None else self.status or "given up"
        return f"<AttemptResult {self.target or '-'} {end}>"
