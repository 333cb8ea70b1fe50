"""The state of one upstream's connections at one moment, as plain values, for logs and pages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamSnapshot:
    """Counts over all targets of the upstream ``name``.

    ``idle`` connections are kept for the next request; ``busy`` ones serve a request, or are being opened for one;
    ``waiting`` is the number of requests in the queue for a connection.
    """

    name: str
    idle: int
    busy: int
    waiting: int

    @property
    def drained(self) -> bool:
        """Tell whether no connection is in use or being opened, and no request waits for one."""
        return not self.busy and not self.waiting
