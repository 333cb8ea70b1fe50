"""Clients of ``limen serve --tls-certificate``: connections that tell which certificate they were shown."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from typing import Any

from commands import Streams, request


@contextlib.asynccontextmanager
async def secured(port: int, context: ssl.SSLContext) -> AsyncGenerator[Streams]:
    """Open a connection over TLS to a loopback port."""
    streams = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    try:
        yield streams
    finally:
        streams[1].transport.abort()


def serial(streams: Streams) -> str:
    """Return the serial number of the certificate that this connection was shown."""
    certificate: dict[str, Any] = streams[1].get_extra_info("peercert")
    return certificate["serialNumber"]


async def shown(port: int, context: ssl.SSLContext) -> str:
    """Return the serial number that a new connection is shown, after one answer on it."""
    async with secured(port, context) as streams:
        head, _ = await request(streams, "/jobs/0", close=True)
        assert head.startswith(b"http/1.1 200")
        return serial(streams)


class TlsLoad:
    """Clients that come again and again over TLS, and some that stay; ``lost`` says what went wrong."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port = port
        self._context = context
        self._over = False
        self.stopping = False
        self.answered = 0
        self.lost: list[str] = []

    @contextlib.asynccontextmanager
    async def running(self, *, keeping: int, renewing: int) -> AsyncGenerator["TlsLoad"]:
        """Send requests until the block ends."""
        tasks = [asyncio.create_task(self._stay()) for _ in range(keeping)]
        tasks += [asyncio.create_task(self._return()) for _ in range(renewing)]
        try:
            yield self
        finally:
            self._over = True
            await asyncio.gather(*tasks)

    async def more(self, count: int) -> None:
        """Wait until ``count`` more requests were answered."""
        enough = self.answered + count
        while self.answered < enough and not self.lost:  # noqa: ASYNC110  # every client would have to tell
            await asyncio.sleep(0.01)

    async def _return(self) -> None:
        while not self._over:
            try:
                async with self._opened() as streams:
                    if streams is None:
                        return
                    head, _ = await request(streams, "/jobs/0", close=True)
                    assert head.startswith(b"http/1.1 200")
                    self.answered += 1
            except OSError as error:
                self.lost.append(f"new: {error!r}")

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Streams | None]:
        """Open a connection; None where nobody serves any more. What ends in the handshake was asked for nothing yet."""
        try:
            streams = await asyncio.open_connection(
                "127.0.0.1", self._port, ssl=self._context, server_hostname="localhost"
            )
        except OSError as error:
            if not isinstance(error, ConnectionRefusedError) and not self.stopping:
                raise
            yield None
            return
        try:
            yield streams
        finally:
            streams[1].transport.abort()

    async def _stay(self) -> None:
        while not self._over:
            try:
                async with self._opened() as streams:
                    if streams is None:
                        return
                    head = b""
                    while not self._over and b"\r\nconnection: close\r\n" not in head:
                        head, _ = await request(streams, "/jobs/1")
                        self.answered += 1
            except OSError as error:
                self.lost.append(f"kept: {error!r}")
