"""What became of one request: the record that logs (and later metrics) are made from."""

from dataclasses import dataclass


@dataclass(slots=True)
class Outcome:
    """One finished request. ``route`` is the pattern, never the raw path; ``seconds`` is the whole time at the gateway.

    ``code`` is the fault's stable name, empty when there was none; ``cause`` is for operators only. Made for every
    request, and so not frozen, which costs 2 us.
    """

    method: bytes
    path: bytes
    route: str
    upstream: str
    status: int
    seconds: float
    request_id: str
    code: str = ""
    cause: str = ""
