"""The service behind every gateway where nginx is not installed: canned responses, request bodies discarded."""

import asyncio
import sys
from typing import cast

import httptools

from bench.scenarios import ITEM, LARGE


def _response(media_type: bytes, content: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (media_type, len(content))
    return head + content


SMALL_RESPONSE = _response(b"application/json", ITEM)
LARGE_RESPONSE = _response(b"application/octet-stream", bytes(LARGE))


class CannedResponses(asyncio.Protocol):
    """Responds when a request is complete."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._large = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._large = url.endswith(b"/large")

    def on_message_complete(self) -> None:
        if self._transport is not None:
            self._transport.write(LARGE_RESPONSE if self._large else SMALL_RESPONSE)


async def serve(port: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(CannedResponses, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
