"""A scripted service on a real socket: it reads and writes bytes."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType

Script = Callable[["Conversation"], Awaitable[None]]


class Conversation:
    """One connection, as its script uses it."""

    def __init__(self, server: "ScriptedUpstream", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The server makes one for each connection."""
        self._server = server
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        """Read one request head, with its empty line, and record it in ``server.requests``."""
        data = await self.reader.readuntil(b"\r\n\r\n")
        self._server.requests.append(data)
        return data

    async def request(self) -> bytes:
        """Read one whole request with a content-length or none; return head and body."""
        head = await self.head()
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        return head + await self.reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        """Write ``data``."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()


def saying(*answers: bytes) -> Script:
    """Return a script that answers each request with the next of ``answers`` and then closes the connection."""

    async def script(conversation: Conversation) -> None:
        for answer in answers:
            await conversation.request()
            await conversation.say(answer)

    return script


class ScriptedUpstream:
    """An asynchronous context manager around a listening socket.

    Each connection uses the next of ``scripts``, and the last one again and again. ``requests`` holds the heads that were
    read; ``connections`` counts. ``path`` listens on a Unix socket instead of a loopback port; ``tls`` serves https.
    """

    def __init__(self, *scripts: Script, path: str = "", tls: ssl.SSLContext | None = None) -> None:
        """Listen only once entered."""
        self.scripts = list(scripts)
        self.requests: list[bytes] = []
        self.connections = 0
        self.errors: list[Exception] = []
        self._path = path
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The address as an ``Upstream`` takes it."""
        if self._path:
            return f"unix:{self._path}"
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    @property
    def port(self) -> int:
        """The loopback port."""
        assert self._server is not None
        return self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> "ScriptedUpstream":
        """Listen."""
        if self._path:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, end every conversation, and raise the exception of a script."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()
        if self.errors and error is None:
            raise self.errors[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        try:
            await script(Conversation(self, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the gateway closed the connection; scripts need not expect it
        except asyncio.CancelledError:
            pass  # the server is closing
        except Exception as error:
            self.errors.append(error)
        finally:
            self._tasks.discard(task)
            writer.close()
