"""How a client is waited for that is behind with reading its answer: for how long, and what waits with it."""

import asyncio
from typing import TYPE_CHECKING, final

from limen.engines.asgi.http10 import reset
from limen.engines.direct.timers import Timer
from limen.errors import Fault, Kind

if TYPE_CHECKING:
    from limen.engines.direct.protocol import GatewayProtocol


@final
class WriteTimeout:
    """A client that is behind must take so many bytes in so many seconds, or its connection is cut."""

    __slots__ = ("_connection", "_least", "_seconds", "_size", "_timer", "_transport", "_writable")

    def __init__(self, connection: "GatewayProtocol") -> None:
        """Nothing waits yet."""
        limits = connection.limits
        self._connection = connection
        self._transport: asyncio.Transport = connection.transport
        self._timer = Timer(connection.state.timers)
        self._seconds = limits.reader_silence
        self._least = max(1, int(limits.body_rate * limits.reader_silence))
        self._size: int = 0
        self._writable: asyncio.Future[None] | None = None  # what waits for the client to read

    def wait(self) -> None:
        """Begin to look."""
        self._size = self._transport.get_write_buffer_size()
        self._timer.set(self, self._seconds)

    async def drain(self) -> None:
        """Wait until the client has caught up, or is gone."""
        if self._writable is None:
            self._writable = self._connection.loop.create_future()
        await asyncio.shield(self._writable)

    def caught_up(self) -> None:
        """It has caught up, or left: what waits goes on."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
        if not self._transport.is_closing():
            self.done()

    def done(self) -> None:
        """Look no more."""
        self._timer.drop()

    def expired(self) -> None:
        """Look: bytes may have been added meanwhile, but only as long as it was not behind."""
        size = self._transport.get_write_buffer_size()
        if size and self._size - size < self._least:
            self._connection.cut_by = Fault(Kind.ANSWER_NOT_TAKEN)
            if self._connection.parser.version == "1.0":
                reset(self._transport)  # the content may have no end but that of the connection
            else:
                self._transport.abort()
        elif size:
            self.wait()
