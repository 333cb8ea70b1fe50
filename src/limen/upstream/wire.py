"""The wire under a connection to a target: what goes out, and back-pressure both ways. Nothing of HTTP lives here."""

import asyncio
import socket
import sys
from typing import Final, cast

from limen.fairness.turns import CLOSE_COST, READ_COST, Turns

# Bytes that are read, at most, after a write has failed: as many as one read of the loop brings; and those of one here.
MOST_LEFT: Final = 256 * 1024
_READ: Final = 65536


class Wire(asyncio.Protocol):
    """An ``asyncio.Protocol`` that knows whether its peer reads, and may be told not to read itself."""

    def __init__(self, turns: Turns) -> None:
        """There is no transport before ``connection_made``."""
        self._turns = turns
        self.lost = False
        self._transport: asyncio.Transport | None = None
        self._writable: asyncio.Future[None] | None = None
        self._paused = False  # by who takes the answer
        self._yielding = False  # until the next turn of the loop
        self._dropped = False  # closed, or to be closed in its turn
        self._rest = b""  # read, and waiting for its turn
        self.queued = False  # for a turn

    def write(self, data: bytes) -> None:
        """Write a part of the request; silently nothing when the connection is gone: the sink has been told."""
        if self._transport is not None and not self.lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the peer reads slower than we write."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def blocked(self) -> "asyncio.Future[None] | None":
        """Return what is done once the peer reads again; None while it does."""
        return self._writable

    def pause(self) -> None:
        """Stop reading: the client is slower than the service."""
        if self._transport is not None and not self._paused and not self.lost:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and self._paused and not self.lost:
            self._paused = False
            if self._rest:
                self.yield_turn()
            elif not self._yielding:
                self._transport.resume_reading()

    def yield_turn(self) -> None:
        """Read nothing more in this turn of the loop: the other connections have theirs first."""
        if self._transport is not None and not self._yielding and not self.lost:
            self._yielding = True
            self._transport.pause_reading()
            self._turns.ask(self)

    def step(self) -> None:
        """Go on, in the turn that was asked for."""
        self._yielding = False
        if self._dropped:  # and it is its turn
            self.close_now()
            return
        if self._rest and not self._paused:
            self.take_rest()
        if self._transport is not None and not self._yielding and not self._paused and not self.lost:
            self._turns.spend(READ_COST)
            self._transport.resume_reading()

    def drop(self) -> None:
        """Close amid what the service sends, without a farewell; in a turn of its own where this one has no time left."""
        if self._transport is None or self.lost or self._dropped:
            return
        if self._turns.room():
            self.close_now()
            return
        self._dropped = True
        if not self._yielding and not self._paused:
            self._transport.pause_reading()
        self._yielding = True  # whoever takes the answer may say that it goes on
        self._turns.ask(self)

    def close_now(self) -> None:
        """Close without a farewell, whatever the turn has left."""
        self._dropped = True
        if self._transport is not None and not self.lost:
            self._turns.spend(CLOSE_COST)
            self._transport.abort()

    def take_rest(self) -> None:
        """Go on with what was read, and waits for its turn."""
        raise NotImplementedError

    def forget(self) -> None:
        """Let go of a transport that was given up while it was made: uvloop does not tell of the end of such a one.

        The two know one another, and would stay until the collector comes round.
        """
        if self._transport is not None:
            self._transport.abort()
        self._transport = None

    def left(self, error: Exception) -> tuple[bytes, bool]:
        """Return what the peer had sent when a write failed with ``error``, and whether it had said that nothing follows.

        A server that answers early closes while the request still comes, and the reset for what it did not read fails our
        next write. The transport then reads no more; but what had come before the reset is still in the socket's buffer, and
        may be the answer (RFC 9112, sections 9.5 and 9.6). Only for the time of ``connection_lost``: behind it the transport
        closes the socket. Nothing where the bytes on the socket are not those of the connection: over TLS.
        """
        found = b""
        transport = self._transport
        theirs = None if transport is None else transport.get_extra_info("socket")
        if transport is None or theirs is None or transport.get_extra_info("sslcontext") is not None:
            return found, False
        try:
            with cast("socket.socket", theirs.dup()) as ours:
                ours.setblocking(False)
                while len(found) < MOST_LEFT:
                    data = ours.recv(min(_READ, MOST_LEFT - len(found)))
                    if not data:
                        # So it looks behind a reset, too. Linux tells the two apart: EPIPE is a reset behind a FIN.
                        return found, sys.platform == "linux" and isinstance(error, BrokenPipeError)
                    found += data
        except OSError:  # the reset itself, or nothing more has come
            pass
        return found, False

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        """Make ``drain`` wait."""
        if self._writable is None:
            self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let ``drain`` go on."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
