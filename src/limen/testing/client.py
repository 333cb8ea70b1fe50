"""The transport of an ``httpx2`` client whose connections stay in memory."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from limen.testing.server import Server
from limen.testing.transport import MemoryTransport


class MemoryClient(httpx2.AsyncBaseTransport):
    """Speaks HTTP/1.1 to one server, whatever the address; a pool keeps its connections."""

    def __init__(self, server: Server, peer: str) -> None:
        """``peer`` is the address that the server sees."""
        self._pool = httpcore2.AsyncConnectionPool(network_backend=_Backend(server, peer), max_connections=None)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, and return the answer, whose content streams."""
        url = request.url
        with _as_httpx():
            answer = await self._pool.handle_async_request(
                httpcore2.Request(
                    method=request.method,
                    url=httpcore2.URL(scheme=b"http", host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        extensions: Any = vars(answer)["extensions"]
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Content(answer), extensions=extensions)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class _Content(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._answer.aiter_stream():
                yield part

    async def aclose(self) -> None:
        with _as_httpx():
            await self._answer.aclose()


class _Backend(httpcore2.AsyncNetworkBackend):
    def __init__(self, server: Server, peer: str) -> None:
        self._server = server
        self._peer = peer

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        stream = _Stream()
        try:
            await self._server.accept(stream.protocol, peer=self._peer, tls=False)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        return stream


class _Stream(httpcore2.AsyncNetworkStream):
    """One connection, with asyncio's streams over it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(loop=loop)
        self.protocol = asyncio.StreamReaderProtocol(self._reader, self._connected, loop=loop)
        self._writer: asyncio.StreamWriter | None = None

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except TimeoutError:
            raise httpcore2.ReadTimeout from None
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        assert self._writer is not None
        self._writer.write(buffer)
        try:
            async with asyncio.timeout(timeout):
                await self._writer.drain()
        except TimeoutError:
            raise httpcore2.WriteTimeout from None
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from error

    async def aclose(self) -> None:
        assert self._writer is not None
        self._writer.close()

    def get_extra_info(self, info: str) -> Any:
        if info != "is_readable" or self._writer is None:
            return None
        transport = self._writer.transport
        assert isinstance(transport, MemoryTransport)
        return transport.has_ended()  # an idle connection that can be read is one that has ended


@contextmanager
def _as_httpx() -> Generator[None]:
    """Raise the exceptions of ``httpx2``, as its own transports do: they have the same names."""
    try:
        yield
    except (
        httpcore2.TimeoutException,
        httpcore2.NetworkError,
        httpcore2.ProtocolError,
        httpcore2.UnsupportedProtocol,
    ) as error:
        raise getattr(httpx2, type(error).__name__)(str(error)) from error
