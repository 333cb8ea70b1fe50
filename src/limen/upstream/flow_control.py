"""Writing to a target, and back-pressure in both directions. Nothing of HTTP lives here."""

import asyncio
import socket
import sys
from typing import Final, cast

from limen.fairness.scheduler import CLOSE_COST, READ_COST, LoopScheduler

# Bytes that are read at most after a write has failed: as many as one read of the loop brings. Then those of one read here.
MOST_AFTER_RESET: Final = 256 * 1024
_READ: Final = 65536


class FlowControlProtocol(asyncio.Protocol):
    """An ``asyncio.Protocol`` with flow control: writers wait while the peer does not read, and reading can be paused."""

    def __init__(self, scheduler: LoopScheduler) -> None:
        """There is no transport before ``connection_made``."""
        self._scheduler = scheduler
        self.lost = False
        self._transport: asyncio.Transport | None = None
        self._writable: asyncio.Future[None] | None = None
        self._paused = False  # by the receiver of the answer
        self._yielding = False  # until the scheduler's next step
        self._dropped = False  # closed, or to be closed in the next step
        self._unparsed = b""  # read, and waiting for the next step
        self.queued = False  # set by the scheduler

    def write(self, data: bytes) -> None:
        """Write a part of the request. Does nothing when the connection is lost: the sink has got a fault."""
        if self._transport is not None and not self.lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the peer reads slower than we write."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def blocked(self) -> "asyncio.Future[None] | None":
        """Return a future that is done once the peer reads again; None while it reads."""
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
            if self._unparsed:
                self.yield_turn()
            elif not self._yielding:
                self._transport.resume_reading()

    def yield_turn(self) -> None:
        """Read nothing more in this turn of the loop: other connections come first."""
        if self._transport is not None and not self._yielding and not self.lost:
            self._yielding = True
            self._transport.pause_reading()
            self._scheduler.ask(self)

    def step(self) -> None:
        """Go on: the scheduler calls this after ``yield_turn`` or ``drop``."""
        self._yielding = False
        if self._dropped:
            self.close_now()
            return
        if self._unparsed and not self._paused:
            self.parse_more()
        if self._transport is not None and not self._yielding and not self._paused and not self.lost:
            self._scheduler.charge(READ_COST)
            self._transport.resume_reading()

    def drop(self) -> None:
        """Abort while the service still sends; in a later step if this turn has no time left."""
        if self._transport is None or self.lost or self._dropped:
            return
        if self._scheduler.has_time():
            self.close_now()
            return
        self._dropped = True
        if not self._yielding and not self._paused:
            self._transport.pause_reading()
        self._yielding = True  # the receiver of the answer may call ``resume``
        self._scheduler.ask(self)

    def close_now(self) -> None:
        """Abort at once, however little time this turn has left."""
        self._dropped = True
        if self._transport is not None and not self.lost:
            self._scheduler.charge(CLOSE_COST)
            self._transport.abort()

    def parse_more(self) -> None:
        """Parse more of what was read and waits; a subclass says how."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop the transport of a connection attempt that was cancelled: uvloop does not call ``connection_lost`` for it.

        Protocol and transport refer to one another, and would stay until the garbage collector runs.
        """
        if self._transport is not None:
            self._transport.abort()
        self._transport = None

    def read_after_reset(self, error: Exception) -> tuple[bytes, bool]:
        """Return what the peer sent before a write failed with ``error``, and whether it sent a FIN after that.

        A server that answers early closes while the request still comes, and the reset for what it did not read fails our
        next write. The transport then reads no more; but what came before the reset is still in the socket's buffer, and may
        be the answer (RFC 9112, sections 9.5 and 9.6). Call this within ``connection_lost``: after it, the transport closes
        the socket. Over TLS this returns nothing, as the bytes on the socket are not those of the connection.
        """
        received = b""
        transport = self._transport
        original = None if transport is None else transport.get_extra_info("socket")
        if transport is None or original is None or transport.get_extra_info("sslcontext") is not None:
            return received, False
        try:
            with cast("socket.socket", original.dup()) as duplicate:
                duplicate.setblocking(False)
                while len(received) < MOST_AFTER_RESET:
                    data = duplicate.recv(min(_READ, MOST_AFTER_RESET - len(received)))
                    if not data:
                        # A reset looks like this, too. Linux tells the two apart: EPIPE is a reset after a FIN.
                        return received, sys.platform == "linux" and isinstance(error, BrokenPipeError)
                    received += data
        except OSError:  # the reset itself, or nothing more has come
            pass
        return received, False

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
