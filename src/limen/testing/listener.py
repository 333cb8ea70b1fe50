"""Brings connections to scripts, from a real socket or in memory, and ends them."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from limen.testing.conversation import Conversation, Script
from limen.testing.freeze import Freeze
from limen.testing.recording import Recording
from limen.testing.scripts import refusing, unreachable


class Listener:
    """The connections of one scripted service, each with the task that serves it.

    On a real socket it listens from ``start`` to ``stop``. In memory it does not: who connects asks ``admit`` and calls
    ``serve``, and ``end`` is the end.
    """

    def __init__(
        self,
        next_script: Callable[[], Script],
        recording: Recording,
        freeze: Freeze,
        *,
        host: str = "localhost",
        path: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``next_script`` chooses the script of each connection; ``host`` is what ``url`` names."""
        self.errors: list[Exception] = []
        self._next_script = next_script
        self._recording = recording
        self._freeze = freeze
        self._host = host
        self._path = path
        self._tls = tls
        self._conversations: dict[asyncio.Task[None], Conversation] = {}
        self._paused: list[asyncio.ReadTransport] = []
        self._server: asyncio.Server | None = None
        self._port = 0
        self._count = 0  # of conversations
        self._down = False

    @property
    def url(self) -> str:
        """The address as an ``Upstream`` takes it."""
        if self._path:
            return f"unix:{self._path}"
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    @property
    def port(self) -> int:
        """The loopback port. Raises RuntimeError before it listens."""
        if not self._port:
            raise RuntimeError("this service has no address yet: enter it (async with ...), and it listens on a socket")
        return self._port

    async def start(self) -> None:
        """Listen on a real socket: of any free port, and at the same one again."""
        self._down = False
        if self._path:
            self._server = await asyncio.start_unix_server(self._accepted, self._path)
        else:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self._port, ssl=self._tls)
            self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, and end every conversation."""
        if self._server is not None:
            self._server.close()
        await self.end()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def kill(self) -> None:
        """Reset every connection and refuse new ones, as when a process was killed."""
        self._down = True
        for conversation in self._conversations.values():
            conversation.reset()
        await self.stop()

    async def restart(self) -> None:
        """Accept connections again, where ``kill`` has ended that."""
        if self._down and (self._port or self._path):
            await self.start()
        self._down = False

    async def end(self) -> None:
        """End every conversation."""
        tasks = [task for task in self._conversations if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def raise_first(self) -> None:
        """Raise the first exception of a script."""
        if self.errors:
            raise self.errors[0]

    def pause_reading(self) -> None:
        """Read from no connection: who writes is held back once the buffers are full."""
        for conversation in self._conversations.values():
            self._pause(conversation)

    def resume_reading(self) -> None:
        """Read again."""
        paused, self._paused = self._paused, []
        for transport in paused:
            if not transport.is_closing():
                transport.resume_reading()

    async def admit(self) -> Script:
        """Return the script of a connection in memory, before it is made. Raises ConnectionRefusedError."""
        await self._freeze.until_accepts()
        self._recording.connections += 1
        script = refusing if self._down else self._next_script()
        if script is refusing:
            self._recording.refusals += 1
            raise ConnectionRefusedError("the scripted service refuses connections")
        if script is unreachable:
            await asyncio.Event().wait()
        return script

    async def serve(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Have ``script`` serve one connection, in this task."""
        task: Any = asyncio.current_task()
        self._count += 1
        conversation = Conversation(reader, writer, self._recording, self._freeze, self._count)
        self._conversations[task] = conversation
        if not self._freeze.reading:
            self._pause(conversation)
        try:
            if self._down:
                conversation.reset()  # it was killed in the meantime
            else:
                await script(conversation)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the gateway closed the connection; scripts need not expect it
        except asyncio.CancelledError:
            pass  # the server is closing
        except Exception as error:
            self.errors.append(error)
        finally:
            del self._conversations[task]
            writer.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._recording.connections += 1
        await self.serve(self._next_script(), reader, writer)

    def _pause(self, conversation: Conversation) -> None:
        transport: Any = conversation.writer.transport
        if transport.is_reading() and not transport.is_closing():
            transport.pause_reading()
            self._paused.append(transport)

    def __repr__(self) -> str:
        """Show whether it accepts, and how many connections there are."""
        return f"<Listener {'down' if self._down else 'up'}, {len(self._conversations)} connections>"
