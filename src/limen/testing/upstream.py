"""A scripted service, on a real socket or in memory: it reads and writes bytes."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
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


def answer(content: object = None, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return the bytes of an answer with ``content`` as JSON; ``bytes`` are sent as they are, and None is no content."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers)]
    if content is None:
        body = b""
    elif isinstance(content, bytes):
        body = content
    else:
        body = json.dumps(content).encode()
        lines.append("content-type: application/json")
    if status != HTTPStatus.NO_CONTENT:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def saying(*answers: bytes) -> Script:
    """Return a script that answers each request with the next of ``answers`` and then closes the connection."""

    async def script(conversation: Conversation) -> None:
        for answer in answers:
            await conversation.request()
            await conversation.say(answer)

    return script


async def hanging(conversation: Conversation) -> None:
    """Read what comes, and never answer."""
    while await conversation.reader.read(65536):
        pass


async def resetting(conversation: Conversation) -> None:
    """Reset the connection once a request has come."""
    await conversation.request()
    conversation.reset()


def slowly(answer: bytes, seconds: float) -> Script:
    """Return a script that answers every request with ``answer``, after ``seconds``."""

    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await asyncio.sleep(seconds)
            await conversation.say(answer)

    return script


async def refusing(conversation: Conversation) -> None:
    """Refuse the connection. On a real socket, where it is accepted before a script sees it, reset it."""
    conversation.reset()


async def unreachable(conversation: Conversation) -> None:
    """Let nobody connect, and say nothing. On a real socket, accept the connection and read nothing."""
    await asyncio.Event().wait()


class ScriptedUpstream:
    """A service by script: an asynchronous context manager around a listening socket, or one of the services of ``serving``.

    Each connection uses the next of ``scripts``, and the last one again and again. ``requests`` holds the heads that were
    read; ``connections`` counts. ``path`` listens on a Unix socket instead of a loopback port; ``tls`` serves https. In
    memory it needs neither, and is not entered.
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
        await self._end_conversations()
        await self._server.wait_closed()
        if error is None:
            self._raise_first()

    async def end(self) -> None:
        """End every conversation of a service in memory, and raise the exception of a script."""
        await self._end_conversations()
        self._raise_first()

    def next_script(self) -> Script:
        """Return the script of the next connection, and count it. Raises ValueError if there is none."""
        if not self.scripts:
            raise ValueError("ScriptedUpstream: give at least one script, such as saying(answer('hello'))")
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        return script

    async def serve(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Have ``script`` serve one connection, in this task."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.serve(self.next_script(), reader, writer)

    async def _end_conversations(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _raise_first(self) -> None:
        if self.errors:
            raise self.errors[0]
