"""Reads the body of a request for a script, by its content-length or in chunks."""

import asyncio

from limen.testing.recording import ReceivedRequest


class BodyReader:
    """The body of ``request``, of which each part is recorded as it is read."""

    __slots__ = ("_chunked", "_left", "_reader", "_request")

    def __init__(self, reader: asyncio.StreamReader, request: ReceivedRequest) -> None:
        """Read nothing yet; a request without a body is complete."""
        self._reader = reader
        self._request = request
        self._chunked = b"chunked" in (request.value(b"transfer-encoding") or b"").lower()
        self._left = 0 if self._chunked else int(request.value(b"content-length") or 0)
        request.complete = not self._chunked and not self._left

    async def read(self, most: int) -> bytes:
        """Return the next part, of ``most`` bytes at most; nothing is the end. Raises IncompleteReadError."""
        if self._request.complete:
            return b""
        if not self._left:
            await self._begin_chunk()
            if self._request.complete:
                return b""
        part = await self._reader.read(min(most, self._left))
        if not part:
            raise asyncio.IncompleteReadError(b"", self._left)
        self._left -= len(part)
        self._request.add(part)
        if not self._left:
            if self._chunked:
                await self._reader.readexactly(2)
            else:
                self._request.complete = True
        return part

    async def _begin_chunk(self) -> None:
        line = await self._reader.readuntil(b"\r\n")
        self._left = int(line.split(b";")[0], 16)
        if not self._left:
            while await self._reader.readuntil(b"\r\n") != b"\r\n":
                pass  # a trailer
            self._request.complete = True
