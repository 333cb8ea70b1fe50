"""One connection to a scripted service, as its scripts use it: it reads requests, which are recorded, and writes bytes."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from limen.testing.body import BodyReader
from limen.testing.freeze import Freeze
from limen.testing.recording import ReceivedRequest, Recording

Script = Callable[["Conversation"], Awaitable[None]]

_PART: Final = 65536
_NO_LINGER: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no time: a close resets the connection


class NextRequest(Exception):
    """The script of one request has asked for another: it has done its work."""


class Conversation:
    """One connection, as its script uses it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        recording: Recording,
        freeze: Freeze,
        number: int,
    ) -> None:
        """The service makes one for each connection, the first with ``number`` 1."""
        self.reader = reader
        self.writer = writer
        self._recording = recording
        self._freeze = freeze
        self._number = number
        self._ahead: ReceivedRequest | None = None  # its head was read before the script asked for it
        self.current: ReceivedRequest | None = None
        """The request whose head was read last."""
        self._body: BodyReader | None = None
        self._one_each = False  # a script serves one request

    # --- for scripts ---

    async def head(self) -> bytes:
        """Read one request head, with its empty line, and record it in ``requests`` of the service."""
        head = await self._take_head()
        await self._freeze.until_answers()
        return head

    async def request(self) -> bytes:
        """Read one whole request; return its head and its body, without the framing of chunks."""
        head = await self._take_head()
        body = await self._read_body()
        await self._freeze.until_answers()
        return head + body

    async def body(self) -> bytes:
        """Read what is left of the body of the request whose head was read last."""
        body = await self._read_body()
        await self._freeze.until_answers()
        return body

    async def body_part(self, most: int = _PART) -> bytes:
        """Read what comes next of that body, ``most`` bytes at most; nothing is its end."""
        if self._body is None:
            raise RuntimeError("this conversation has read no request; call head() before body() and body_part()")
        await self._freeze.until_reads()
        return await self._body.read(most)

    async def read_to_end(self) -> None:
        """Read whatever comes until the peer ends it, and keep nothing but the record of a request."""
        if self.current is None:
            await self._take_head()
        while await self.body_part():
            pass
        while await self.reader.read(_PART):
            await self._freeze.until_reads()

    async def arrived(self) -> bool:
        """Wait for the first byte of a request, and leave it; return False once nothing more can come."""
        await self._freeze.until_reads()
        return self._ahead is not None or await _has_data(self.reader)

    async def head_arrived(self) -> ReceivedRequest:
        """Wait for the head of a request, record it, and leave it for ``head`` and ``request``."""
        if self._ahead is None:
            if self._one_each and self.current is not None:
                raise NextRequest
            await self._freeze.until_reads()
            self._ahead = self._recording.add(await self.reader.readuntil(b"\r\n\r\n"), self._number)
        return self._ahead

    async def say(self, data: bytes) -> None:
        """Write ``data``."""
        await self._freeze.until_answers()
        self.writer.write(data)
        await self.writer.drain()

    async def say_and_reset(self, data: bytes) -> None:
        """Write ``data``, and reset the connection once it has left."""
        self.writer.transport.set_write_buffer_limits(high=0)
        await self.say(data)
        self.reset()

    def reset(self) -> None:
        """Reset the connection: on TCP the peer gets an RST, and not the end of the stream."""
        transport: Any = self.writer.transport
        if transport.is_closing():
            return
        self._recording.resets += 1
        connected: Any = transport.get_extra_info("socket")
        if connected is not None and connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()

    # --- for who runs scripts, one for each request ---

    def begin_request(self) -> None:
        """Have the next script read one request; where it asks for another, ``NextRequest`` ends it."""
        self._one_each = True
        self.current = self._body = None

    def can_go_on(self) -> bool:
        """Tell whether another request may follow on this connection."""
        request = self.current
        if request is None or not request.complete or self.writer.is_closing():
            return False
        return (request.value(b"connection") or b"").lower() != b"close"

    # --- inside ---

    async def _take_head(self) -> bytes:
        request = await self.head_arrived()
        self._ahead = None
        self.current = request
        self._body = BodyReader(self.reader, request)
        return request.head

    async def _read_body(self) -> bytes:
        parts: list[bytes] = []
        while part := await self.body_part():
            parts.append(part)
        return b"".join(parts)


async def _has_data(reader: asyncio.StreamReader) -> bool:
    """Wait for data, and leave it: ``StreamReader`` can do so, and has no public method for it."""
    error = reader.exception()
    if error is not None:
        raise error
    inner: Any = reader
    while not inner._buffer and not inner._eof:
        await inner._wait_for_data("arrived")
    return bool(inner._buffer)
