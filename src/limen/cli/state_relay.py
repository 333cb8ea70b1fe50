"""The supervisor's side of what workers tell each other about targets: it passes states on, keeps the last ones for workers
that start later, and knows who checks. It does not understand a state.

``limen.cli.supervisor`` says who checks (``appoint``), as it knows which workers live.
"""

import asyncio
import socket

from limen.cli.state_lines import Key, Lines, StateMessage, Value, decode, encode_checks, encode_state, keep
from limen.cli.state_outbox import StateOutbox


class StateRelay:
    """The states of all targets, by what was read last, and the workers that get them."""

    __slots__ = ("_checker", "_members", "_states")

    def __init__(self) -> None:
        """Nobody is there."""
        self._states: dict[Key, Value] = {}
        self._members: list[RelayMember] = []
        self._checker: RelayMember | None = None

    async def add(self, ours: socket.socket) -> "RelayMember":
        """Take in a worker at the other end of ``ours``, and tell it all that is known."""
        loop = asyncio.get_running_loop()
        _, member = await loop.create_unix_connection(lambda: RelayMember(self), sock=ours)
        return member

    def appoint(self, checker: "RelayMember | None") -> None:
        """Let ``checker`` check from now on, and nobody else."""
        before, self._checker = self._checker, checker
        if before is checker:
            return
        if before is not None:
            before.say_checks(mine=False)
        if checker is not None:
            checker.say_checks(mine=True)

    def joined(self, member: "RelayMember") -> None:
        """Tell a new member all that is known."""
        self._members.append(member)
        for key, value in self._states.items():
            member.outbox.put(key, value)
        member.say_checks(mine=self._checker is member)

    def left(self, member: "RelayMember") -> None:
        """Tell it nothing any more."""
        if member in self._members:
            self._members.remove(member)
        if self._checker is member:
            self._checker = None

    def told(self, member: "RelayMember", key: Key, value: Value) -> None:
        """Pass on what ``member`` has told."""
        keep(self._states, key, value)
        for other in self._members:
            if other is not member:
                other.outbox.put(key, value)
        member.outbox.discard(key)  # what was to be sent is older

    def __repr__(self) -> str:
        """Show how much there is."""
        return f"<StateRelay {len(self._members)} members {len(self._states)} states>"


class RelayMember(asyncio.Protocol):
    """One worker; ``seen`` is the number of the last message that was read from it."""

    def __init__(self, relay: StateRelay) -> None:
        """Made by ``StateRelay.add``."""
        self.seen = 0
        self._relay = relay
        self._lines = Lines()
        self.outbox = StateOutbox(self._encoded)

    def _encoded(self, key: Key, value: Value) -> bytes:
        return encode_state(self.seen, key, value, to_worker=True)

    def say_checks(self, *, mine: bool) -> None:
        """Tell it whether it checks."""
        self.outbox.write(encode_checks(mine=mine))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.outbox.open(transport)
        self._relay.joined(self)

    def data_received(self, data: bytes) -> None:
        """Pass on what it tells."""
        for line in self._lines.feed(data):
            message = decode(line, from_worker=True)
            if isinstance(message, StateMessage):
                self.seen = message.number
                self._relay.told(self, message.key, message.value)

    def pause_writing(self) -> None:
        """It does not read."""
        self.outbox.pause()

    def resume_writing(self) -> None:
        """It reads again."""
        self.outbox.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, or is about to."""
        self._relay.left(self)
        self.outbox.close()

    def close(self) -> None:
        """End this, as the process has ended."""
        self.outbox.close()
