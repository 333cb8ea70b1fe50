"""The state of one upstream at one moment, as plain values, for logs and pages."""

from dataclasses import dataclass
from typing import Literal

TargetState = Literal["in", "out", "probing"]


@dataclass(frozen=True, slots=True)
class TargetSnapshot:
    """The state of the target at ``address``: why, and since when (seconds since the epoch).

    ``in_flight`` attempts are under way. ``drained_since`` is 0 for a target that gets new requests. ``failing`` says that it
    fails and stays in, because too many others are out.
    """

    address: str
    state: TargetState
    reason: str
    since: float
    in_flight: int
    idle: int
    busy: int
    waiting: int
    drained_since: float = 0.0
    failing: bool = False


@dataclass(frozen=True, slots=True)
class UpstreamSnapshot:
    """Counts over all targets of the upstream ``name``, and each of them where there are several.

    ``idle`` connections are kept for the next request; ``busy`` ones serve a request, or are being opened for one;
    ``waiting`` is the number of requests in the queue for a connection. ``panic`` says that so few targets are left that all
    are used.
    """

    name: str
    idle: int
    busy: int
    waiting: int
    targets: tuple[TargetSnapshot, ...] = ()
    panic: bool = False

    @property
    def drained(self) -> bool:
        """Tell whether no connection is in use or being opened, and no request waits for one."""
        return not self.busy and not self.waiting
