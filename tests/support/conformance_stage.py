"""Where a conformance case is played: one gateway, the clients before it, one scripted service behind it.

Both sides of the gateway are on one timeline, so that a case says what happens in which order and nothing has to sleep.
What every case must leave behind is checked here, once for all of them: see ``Stage.play``.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

from conformance_answer import Answer, read_answer, read_content
from engines import Engine
from limen import Gateway
from limen.runtime.snapshot import Snapshot
from limen.testing import Conversation, ScriptedUpstream, drained, flush_log, snapshot
from serving import Served, until

# Seconds after which a step has not happened; far more than any step takes.
PATIENCE = 10.0


class Step(Protocol):
    """One line of a case."""

    async def play(self, stage: "Stage") -> None:
        """Do it, or insist that it happens."""
        ...


class Client:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.open = True  # as far as the case has said

    async def answer(self, *, bodyless: bool = False) -> Answer:
        return await read_answer(self.reader, bodyless=bodyless)

    async def ended(self) -> bytes:
        """Return what comes before the gateway closes the connection."""
        self.open = False
        return await self.reader.read()

    def leave(self, *, reset: bool = False) -> None:
        self.open = False
        if reset:
            self.writer.transport.abort()
        else:
            self.writer.close()


class Log(logging.Handler):
    """The access log and the errors, as text."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: list[str] = []

    @property
    def lines(self) -> list[str]:
        """What was said so far."""
        flush_log()
        return self._lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line, with its trace if it has one; not that a name was looked up, which comes at any time."""
        if record.name != "limen.upstream" or record.levelno > logging.INFO:
            self._lines.append(self.format(record))

    def access(self) -> list[str]:
        return [line for line in self.lines if " request_id=" in line]


class Stage:
    """Plays one case at a time."""

    def __init__(self, app: Gateway, served: Served, upstream: ScriptedUpstream, engine: Engine) -> None:
        self.engine = engine
        self._app = app
        self.served = served
        self.upstream = upstream
        upstream.scripts[:] = [self._converse]
        self._arrived: asyncio.Queue[tuple[Conversation, bytes]] = asyncio.Queue()
        self._open: dict[Conversation, asyncio.Event] = {}
        self._clients: dict[int, Client] = {}
        self._conversation: Conversation | None = None
        self._over = False
        self._trickle = 0
        self.log = Log()

    async def play(self, steps: Sequence[Step], *, trickle: int = 0) -> None:
        """Play a case, and insist on what holds after every one.

        1. The service was asked for nothing that the case did not name.
        2. A connection that the case does not say is closed still serves, and nothing stray is on it.
        3. No connection to the service stays busy.
        4. No request was recorded twice.

        ``trickle`` cuts what clients send into pieces of so many bytes.
        """
        self._trickle = trickle
        self._over = False
        for logger in ("limen", "uvicorn.error"):
            logging.getLogger(logger).addHandler(self.log)
        level = logging.getLogger("limen.access").level
        logging.getLogger("limen.access").setLevel(logging.INFO)
        try:
            for number, step in enumerate(steps, 1):
                await self._within(step.play(self), f"step {number}, {step!r}")
            assert self._arrived.empty(), f"the service was asked for more: {self._arrived.get_nowait()[1]!r}"
            for client in list(self._clients.values()):
                if client.open:
                    await self._within(self._probe(client), "a connection that should be kept")
            await self._within(self.drained(), "every connection to the service being free")
            ids = re.findall(r" request_id=(\S+)", "\n".join(self.log.lines))
            assert len(ids) == len(set(ids)), f"a request was recorded twice: {self.log.lines}"
        finally:
            await self._reset()
            logging.getLogger("limen.access").setLevel(level)
            for logger in ("limen", "uvicorn.error"):
                logging.getLogger(logger).removeHandler(self.log)

    # --- what steps do ---

    async def client(self, number: int = 0) -> Client:
        """Return the client of that number, which connects when it is first named."""
        if number not in self._clients:
            self._clients[number] = Client(*await asyncio.open_connection("127.0.0.1", self.served.port))
        return self._clients[number]

    async def send(self, parts: Iterable[bytes], number: int = 0) -> None:
        """Write for a client, piece by piece."""
        writer = (await self.client(number)).writer
        for part in parts:
            size = self._trickle or len(part) or 1
            for start in range(0, len(part), size):
                writer.write(part[start : start + size])
                await writer.drain()
                await asyncio.sleep(0)

    async def arrival(self) -> tuple[Conversation, bytes]:
        """Return the next request head that reaches the service; those before are finished with."""
        if self._conversation in self._open:
            self._open[self._conversation].set()
        self._conversation, head = await self._arrived.get()
        return self._conversation, head

    async def content(self, head: bytes) -> bytes:
        """Return the content of the newest request, read as its ``head`` frames it."""
        return await read_content(self.conversation.reader, head)

    @property
    def conversation(self) -> Conversation:
        """The connection on which the newest request came."""
        assert self._conversation is not None, "the case has not said that the service sees a request"
        return self._conversation

    async def turns(self) -> None:
        """Let the gateway serve a few other requests: whatever it had at hand to do, it has done then."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.served.port)
        client = Client(reader, writer)
        for _ in range(5):
            await self._probe(client)
        writer.close()

    def snapshot(self) -> Snapshot:
        """Return what the gateway's connections to its services do."""
        return snapshot(self._app)

    async def drained(self) -> None:
        """Return when no connection to a service is in use, or waited for."""
        await drained(self._app)

    # --- inside ---

    async def _within(self, step: Awaitable[None], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await step
        except TimeoutError:
            raise AssertionError(f"{what} did not happen; {self.snapshot()}; log: {self.log.lines}") from None

    async def _probe(self, client: Client) -> None:
        client.writer.write(b"GET /local/ping HTTP/1.1\r\nhost: g\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, b'"pong"'), answer

    async def _converse(self, conversation: Conversation) -> None:
        parked = self._open[conversation] = asyncio.Event()
        try:
            while not self._over:
                head = await conversation.head()
                parked.clear()
                self._arrived.put_nowait((conversation, head))
                await parked.wait()
        finally:
            del self._open[conversation]

    async def _reset(self) -> None:
        """Leave nothing for the next case: no client, no connection to the service, no log."""
        self._over = True
        for client in self._clients.values():
            client.writer.transport.abort()
        self._clients.clear()
        for conversation, parked in self._open.items():
            conversation.reset()
            parked.set()
        await self._within(self.drained(), "the end of every exchange")
        await self._within(until(lambda: not self._open and not self.snapshot().idle), "the end of every connection")
        while not self._arrived.empty():
            self._arrived.get_nowait()
        self._conversation = None
        self.upstream.requests.clear()
        self.upstream.connections = 0
        self.log.lines.clear()
