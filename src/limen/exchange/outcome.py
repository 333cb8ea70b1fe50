"""What became of one request: the record from which logs (and later metrics) are made."""

from collections.abc import Callable


class Outcome:
    """One request: what is known when it begins, then what it came to. ``limen.pipeline.settle`` takes it, once.

    ``route`` is the pattern, never the raw path. ``seconds`` is the whole time at the gateway; it ended at ``ended_at``, in
    seconds since the epoch. ``code`` is the fault's stable name, empty without one; ``cause`` is for operators only.
    ``caller`` is the id of the identified caller, ``peer`` the address of the connection's other end. ``attempts`` counts how
    often a service was asked, or a connection to it was tried; ``target`` is the address that was asked last, ``-`` if none
    was. ``cut`` says that the
    head of the answer went out and the rest will not. ``on_settled`` is called with the settled outcome: it releases the
    leases of the exchange and calls the ``settle`` hooks of its policies.

    No dataclass: compiled, making one of those takes 3,900 instructions, and this 300.
    """

    __slots__ = (
        *("attempts", "on_settled", "caller", "cause", "code", "cut", "ended_at", "method", "path"),
        *("peer", "request_id", "route", "seconds", "status", "target", "upstream"),
    )

    def __init__(self, method: bytes, path: bytes, request_id: str, peer: bytes) -> None:
        """Keep what is known from the start; the ``path`` is as it came, without the query."""
        self.method = method
        self.path = path
        self.request_id = request_id
        self.peer = peer
        self.caller = ""
        self.on_settled: Callable[[Outcome], None] | None = None
        self.route = "-"
        self.upstream = "-"
        self.target = "-"
        self.attempts: int = 0
        self.status = 0
        self.seconds = 0.0
        self.ended_at = 0.0
        self.code = ""
        self.cause = ""
        self.cut = False

    def __repr__(self) -> str:
        """Show which request it is of, and its status."""
        return f"<Outcome {self.method.decode('ascii', 'replace')} {self.route} {self.status} {self.request_id}>"
