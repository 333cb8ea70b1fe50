"""A service that costs almost nothing: one canned answer to every request, on a loopback port."""

import argparse
import asyncio
from typing import cast

CONTENT = (
    b'[{"id":1,"name":"Ada","surname":"Lovelace","address":"12 St James Square","created_by":1,'
    b'"created_at":"2026-11-25T12:00:00Z"}]'
)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(CONTENT), CONTENT)


class Canned(asyncio.Protocol):
    """Answers whenever the end of a head has come; requests without a body only."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            self._held = self._held[end + 4 :]
            if self._transport is not None:
                self._transport.write(ANSWER)


async def serve(port: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    uvloop.run(serve(parser.parse_args().port))
