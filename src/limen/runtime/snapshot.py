"""What lives in a gateway at one moment, as plain values for a console, a command or a test."""

from dataclasses import dataclass

from limen.upstream.snapshot import UpstreamSnapshot


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a runtime at one moment. It does not change afterwards.

    ``upstreams`` are those of the compiled routes, in the order of their declaration.
    """

    upstreams: tuple[UpstreamSnapshot, ...] = ()

    @property
    def idle(self) -> int:
        """Return how many connections are kept for later, to all upstreams together."""
        return sum(upstream.idle for upstream in self.upstreams)

    @property
    def busy(self) -> int:
        """Return how many connections are in use or being opened, to all upstreams together."""
        return sum(upstream.busy for upstream in self.upstreams)

    @property
    def waiting(self) -> int:
        """Return how many requests are in line for a connection, to all upstreams together."""
        return sum(upstream.waiting for upstream in self.upstreams)

    @property
    def drained(self) -> bool:
        """Tell whether no connection is in use or being opened, and nobody waits for one."""
        return not self.busy and not self.waiting
