"""The place of one client connection among those of its worker, and among those of its client's address."""

from collections.abc import Collection
from typing import Any, Final, final

from limen.engines.direct.worker_state import WorkerState
from limen.errors import RETRY_AFTER, Fault, Kind

_TOO_MANY: Final = Fault(Kind.TOO_MANY_CONNECTIONS, headers=RETRY_AFTER)
_TOO_MANY_FROM_ADDRESS: Final = Fault(Kind.TOO_MANY_FROM_ADDRESS, headers=RETRY_AFTER)


@final
class ConnectionPlace:
    """One place, from ``take`` to ``leave``."""

    __slots__ = ("_address", "_gave_way", "_state")

    def __init__(self, state: WorkerState) -> None:
        """It is not taken yet."""
        self._state = state
        self._address: str | None = None  # under which it is counted
        self._gave_way = False

    def take(self, address: str, connections: Collection[Any]) -> Fault | None:
        """Count the newest of ``connections``; return why there is no place for it, if an idle one cannot make room.

        ``address`` is the client's, empty where there is none, such as on a Unix socket.
        """
        state, most = self._state, self._state.limits.connections_per_address
        self._address = address
        state.addresses[address] += 1
        taken = len(connections) - state.idle.leaving
        if taken > state.connections and not state.idle.make_room(connections):
            return _TOO_MANY
        return _TOO_MANY_FROM_ADDRESS if most is not None and address and state.addresses[address] > most else None

    def give_way(self) -> None:
        """Leave soon: another connection gets the place at once."""
        self._gave_way = True
        self._state.idle.leaving += 1

    def leave(self) -> None:
        """Be counted no more; a second call does nothing."""
        if self._gave_way:
            self._gave_way = False
            self._state.idle.leaving -= 1
        addresses, address = self._state.addresses, self._address
        if address is not None:
            self._address = None
            addresses[address] -= 1
            if not addresses[address]:
                del addresses[address]

    def __repr__(self) -> str:
        """Show whose it is."""
        return f"<ConnectionPlace {self._address or 'none'}{', gives way' if self._gave_way else ''}>"
