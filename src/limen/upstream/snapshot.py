"""What one upstream's connections do at one moment, as plain values: for people, and for what shows it to them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamSnapshot:
    """Counts of one moment, over all targets of the upstream of that ``name``.

    ``idle`` connections are kept for the next request; ``busy`` ones serve one, or are being opened for one; ``waiting``
    is how many requests are in line for a connection.
    """

    name: str
    idle: int
    busy: int
    waiting: int

    @property
    def drained(self) -> bool:
        """Tell whether no connection is in use or being opened, and nobody waits for one."""
        return not self.busy and not self.waiting
