"""Connections on which a service lets in one client alone (``Connection.private``), kept with that client's connection.

The pool of the target holds each of them while it waits for its client's next request, and counts it as busy: a client's
identity is never given to another. Whoever ends it first, the pool or the client, tells the other.
"""

from typing import TYPE_CHECKING, Final, final

from limen.upstream.connection import Connection
from limen.upstream.target_health import IN

if TYPE_CHECKING:
    from limen.upstream.live import LiveUpstream
    from limen.upstream.live_target import LiveTarget

# Private connections that one client's connection keeps, each to another upstream.
MOST_PRIVATE: Final = 4


@final
class PrivateConnection:
    """One that waits for the next request of its client.

    ``handshake`` says that the service has not let the client in yet. The pool sets ``idle_until``: from then on
    it serves no further request.
    """

    __slots__ = ("connection", "handshake", "idle_until", "owner", "target", "upstream")

    def __init__(
        self,
        owner: "PrivateConnections",
        upstream: str,
        target: "LiveTarget",
        connection: Connection,
        *,
        handshake: bool,
    ) -> None:
        """``connection`` leads to ``target`` of the ``upstream`` of that name."""
        self.owner = owner
        self.upstream = upstream
        self.target = target
        self.connection = connection
        self.handshake = handshake
        self.idle_until: float = 0.0

    def __repr__(self) -> str:
        """Show where it leads."""
        return f"<PrivateConnection {self.upstream} {self.connection!r}{' handshake' if self.handshake else ''}>"


@final
class PrivateConnections:
    """Those of one client's connection, at most one for each upstream."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        """There are none."""
        self._kept: dict[str, PrivateConnection] = {}

    def keep(self, upstream: str, target: "LiveTarget", connection: Connection, *, handshake: bool) -> None:
        """Keep ``connection``, whose exchange has ended, for the next request to ``upstream``."""
        before = self._kept.get(upstream)
        if before is None and len(self._kept) >= MOST_PRIVATE:
            before = next(iter(self._kept.values()))
        if before is not None:
            self._end(before)
        private = PrivateConnection(self, upstream, target, connection, handshake=handshake)
        if target.pool.keep_private(private):
            self._kept[upstream] = private

    def take(self, upstream: "LiveUpstream") -> PrivateConnection | None:
        """Return the one to ``upstream``, which is in use from now on; None if there is none that may serve.

        A handshake goes on where it has begun. Afterwards, a target that is out or drained gets no more of the client.
        """
        private = self._kept.pop(upstream.upstream.name, None)
        if private is None:
            return None
        target = private.target
        health = target.health
        stays = private.handshake or (health.state == IN and not health.drained_since)
        if target not in upstream.targets or not stays:
            target.pool.end_private(private)
            return None
        return private if target.pool.take_private(private) else None

    def forget(self, private: PrivateConnection) -> None:
        """Take note that the pool has ended ``private``."""
        if self._kept.get(private.upstream) is private:
            del self._kept[private.upstream]

    def close(self) -> None:
        """End them all: the client's connection has ended."""
        kept, self._kept = self._kept, {}
        for private in kept.values():
            private.target.pool.end_private(private)

    def _end(self, private: PrivateConnection) -> None:
        self.forget(private)
        private.target.pool.end_private(private)

    def __repr__(self) -> str:
        """Show how many there are."""
        return f"<PrivateConnections {len(self._kept)}>"
