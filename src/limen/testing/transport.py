"""Two ends of a connection in memory. To the protocols on both it is a TCP connection, without the operating system:

- what one end writes, the other gets in a later turn of the event loop
- an end that does not read holds back the other's writes, which is told to pause
- ``close`` delivers what was written, then the end; ``abort`` resets
"""

import asyncio
from collections.abc import Iterable
from contextvars import Context, copy_context
from typing import Any, Final

_READ: Final = 256 * 1024  # bytes that one read of a socket brings at most, too
_HIGH: Final = 64 * 1024  # asyncio's own marks
_LOW: Final = _HIGH // 4


def connect(
    client: asyncio.Protocol, server: asyncio.Protocol, *, peer: tuple[str, int], context: Context, tls: bool = False
) -> None:
    """Connect two protocols in the running event loop. ``peer`` is the address of ``client``.

    The callbacks of ``server`` run in ``context``, those of ``client`` in the present one. With ``tls``, ``server`` believes
    that it speaks TLS.
    """
    loop = asyncio.get_running_loop()
    here = ("127.0.0.1", 443 if tls else 80)
    near = MemoryTransport(loop, client, copy_context(), {"peername": here, "sockname": peer})
    far = MemoryTransport(loop, server, context, {"peername": peer, "sockname": here, "sslcontext": tls or None})
    near.peer, far.peer = far, near
    context.run(server.connection_made, far)
    client.connection_made(near)


class MemoryTransport(asyncio.Transport):
    """One end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BaseProtocol,
        context: Context,
        extra: dict[str, Any],
    ) -> None:
        """Made by ``connect``, which sets ``peer``."""
        super().__init__(extra)
        self.peer: MemoryTransport = self
        self._loop = loop
        self._protocol: Any = protocol
        self._context = context
        self._written = bytearray()  # and not read by the peer
        self._high, self._low = _HIGH, _LOW
        self._paused = False  # the protocol was told not to write
        self._reading = True
        self._scheduled = False  # a read
        self._half_closed = False  # nothing more is written
        self._end_read = False
        self._closing = False
        self._lost = False

    # --- asyncio.Transport ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Let the peer read ``data``."""
        if self._closing or self._half_closed or not data:
            return
        if self.peer._lost:
            self._closing = True
            self._soon(self._lose, BrokenPipeError("the other end is closed"))
            return
        self._written += data
        if len(self._written) > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()
        self.peer._read_soon()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Let the peer read all of it."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Let the peer know that nothing follows."""
        self._half_closed = True
        self.peer._read_soon()

    def can_write_eof(self) -> bool:
        """Tell that there is a way to."""
        return True

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the peer has not read."""
        return len(self._written)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the marks for resuming and for pausing."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks, as asyncio does."""
        self._high = high if high is not None else _HIGH if low is None else 4 * low
        self._low = self._high // 4 if low is None else low

    def is_reading(self) -> bool:
        """Tell whether the protocol wants data."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Keep what the peer writes for later."""
        self._reading = False

    def resume_reading(self) -> None:
        """Read again."""
        self._reading = True
        self._read_soon()

    def is_closing(self) -> bool:
        """Tell whether this end was closed."""
        return self._closing

    def close(self) -> None:
        """Close once the peer has read everything."""
        if not self._closing:
            self._closing = True
            if not self._written:
                self._soon(self._lose, None)

    def abort(self) -> None:
        """Reset the connection."""
        self._written.clear()
        self._closing = True
        self._soon(self._lose, None)
        if not self.peer._lost:
            self.peer._written.clear()
            self.peer._closing = True
            self.peer._soon(self.peer._lose, ConnectionResetError("the other end has reset the connection"))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what is read to another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who gets what is read."""
        return self._protocol

    def has_ended(self) -> bool:
        """Tell whether nothing more can be read, or something that nobody has asked for."""
        return self._closing or self._end_read or bool(self.peer._written) or self.peer._closing

    # --- inside ---

    def _soon(self, callback: Any, *args: Any) -> None:
        self._loop.call_soon(callback, *args, context=self._context)

    def _read_soon(self) -> None:
        if not self._scheduled and self._reading and not self._closing:
            self._scheduled = True
            self._soon(self._read)

    def _read(self) -> None:
        self._scheduled = False
        if not self._reading or self._closing or self._end_read:
            return
        peer = self.peer
        if peer._written:
            data = bytes(peer._written[:_READ])
            del peer._written[:_READ]
            peer._soon(peer._was_read)
            self._protocol.data_received(data)
            self._read_soon()  # more, or the end
        elif peer._half_closed or peer._closing:
            self._end_read = True
            if not self._protocol.eof_received():
                self.close()

    def _was_read(self) -> None:
        """Let the protocol write again, or end what waited for the peer to read."""
        if self._lost:
            return
        if self._closing:
            if not self._written:
                self._lose(None)
        elif self._paused and len(self._written) <= self._low:
            self._paused = False
            self._protocol.resume_writing()

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = self._closing = True
            self._protocol.connection_lost(error)
            self.peer._read_soon()  # the end

    def __repr__(self) -> str:
        """Show the state, and what is under way."""
        state = "lost" if self._lost else "closing" if self._closing else "open" if self._reading else "paused"
        return f"<MemoryTransport {state}, {len(self._written)} bytes unread by the other end>"
