"""A worker's side of what workers tell each other about targets: the link between its gateways and the supervisor.

It keeps what was told last, for targets that come later, and ignores what crosses newer messages of this worker's own
(``limen.cli.state_lines``). Nobody waits for the supervisor. If it is gone, this worker, which is about to stop, checks by
itself.
"""

import asyncio
import logging
import socket

from limen.cli.state_lines import (
    MOST_STATES,
    ChecksMessage,
    Key,
    Lines,
    StateMessage,
    Value,
    decode,
    encode_state,
    keep,
)
from limen.cli.state_outbox import StateOutbox
from limen.runtime.target_states import ASPECTS, TargetStates

logger = logging.getLogger("limen.serve")


class SupervisorLink(asyncio.Protocol):
    """The ``limen.runtime.target_states.Peers`` of a worker."""

    def __init__(self) -> None:
        """Nobody is told anything before ``connect``."""
        self._attached: list[TargetStates] = []
        self._latest: dict[Key, Value] = {}
        self._sent: dict[
            Key, int
        ] = {}  # the number of the last message of each state, until the supervisor has seen it
        self._number = 0
        self._checks = False
        self._lines = Lines()
        self._outbox = StateOutbox(self._numbered)
        self._closing = False

    async def connect(self, supervisor: socket.socket) -> None:
        """Begin, over the inherited socket."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=supervisor)

    def close(self) -> None:
        """End, as the worker ends."""
        self._closing = True
        self._outbox.close()

    # --- for gateways ---

    def attach(self, states: TargetStates) -> None:
        """Share with ``states`` from now on."""
        self._attached.append(states)
        states.check(mine=self._checks)

    def detach(self, states: TargetStates) -> None:
        """Share with ``states`` no more."""
        if states in self._attached:
            self._attached.remove(states)

    def tell(self, states: TargetStates, key: Key, value: Value) -> None:
        """Tell the supervisor, and other gateways of this process."""
        keep(self._latest, key, value)
        if not self._closing:
            self._outbox.put(key, value)
        for other in self._attached:
            if other is not states:
                other.receive(key, value)

    def latest(self, key: Key) -> Value | None:
        """Return what was told last."""
        return self._latest.get(key)

    def forget(self, upstream: str, target: str) -> None:
        """Forget what was told of ``target``."""
        for aspect in ASPECTS:
            self._latest.pop((upstream, target, aspect), None)

    # --- from the supervisor ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to send."""
        self._outbox.open(transport)

    def data_received(self, data: bytes) -> None:
        """Take over what others tell."""
        for line in self._lines.feed(data):
            match decode(line, from_worker=False):
                case StateMessage() as message:
                    self._told(message)
                case ChecksMessage() as message:
                    self._set_checks(mine=message.mine)
                case None:
                    pass  # of a later version

    def _told(self, message: StateMessage) -> None:
        key = message.key
        if key in self._outbox or self._sent.get(key, 0) > message.number:
            return  # the supervisor reads a newer one of this worker's own next
        self._sent.pop(key, None)
        keep(self._latest, key, message.value)
        for states in self._attached:
            states.receive(key, message.value)

    def _set_checks(self, *, mine: bool) -> None:
        self._checks = mine
        for states in self._attached:
            states.check(mine=mine)

    def _numbered(self, key: Key, value: Value) -> bytes:
        line = encode_state(self._number + 1, key, value, to_worker=False)
        if not line:
            logger.warning("upstream %s: the state of a target is not shared: its address is too long", key[0])
            return b""
        self._number += 1
        self._sent.pop(key, None)
        if len(self._sent) >= MOST_STATES:
            del self._sent[next(iter(self._sent))]
        self._sent[key] = self._number
        return line

    def pause_writing(self) -> None:
        """The supervisor does not read."""
        self._outbox.pause()

    def resume_writing(self) -> None:
        """It reads again."""
        self._outbox.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The supervisor is gone: nobody else checks for this worker any more."""
        self._outbox.close()
        if not self._closing:
            self._closing = True
            self._set_checks(mine=True)

    def __repr__(self) -> str:
        """Show what is shared."""
        return f"<SupervisorLink {len(self._latest)} states{' checks' if self._checks else ''}>"
