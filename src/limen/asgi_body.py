"""The client's side of an ASGI request: its body as a bounded stream, and the watch for a client that leaves."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from starlette.types import Receive

# A client that leaves is noticed within about this many seconds; most requests end before and pay one timer handle.
_WATCH_AFTER = 0.25


class ClientGone(Exception):
    """The client closed the connection before it had its answer."""


class BodyTooLarge(Exception):
    """The body passed its bound while it was read."""


class BodyTimeout(Exception):
    """The client sent nothing for too long."""


class RequestBody:
    """An asynchronous iterator over the request body.

    ``limit`` is in bytes, None means unbounded; ``patience`` is the most seconds between two pieces.
    """

    __slots__ = ("_held", "_limit", "_patience", "_receive", "_seen", "done", "idle", "length", "untouched")

    def __init__(
        self, receive: Receive, length: int | None, limit: int | None, *, patience: float, empty: bool
    ) -> None:
        """``length`` is the announced one; ``empty`` says that the framing announces no content at all."""
        self._patience = patience
        self._receive = receive
        self._limit = limit
        self._seen = 0
        self._held: deque[bytes] | None = None
        self.length = length
        self.done = False
        self.idle = empty  # nobody will read it: there is nothing but the final empty message
        self.untouched = True

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the chunks as they arrive."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk; raises ClientGone, BodyTimeout and BodyTooLarge."""
        self.untouched = False
        chunk = self._held.popleft() if self._held else await self._come()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def gather(self, waits: Callable[[int], bool]) -> None:
        """Hold what comes, to be iterated over later, until it is whole or ``waits`` denies it of so many bytes.

        Raises what iterating does.
        """
        while not self.done and waits(self._seen):
            if self._held is None:
                self._held = deque()
            if chunk := await self._come():
                self._held.append(chunk)

    async def _come(self) -> bytes:
        """Return what comes next; nothing is the end."""
        while not self.done:
            try:
                async with asyncio.timeout(self._patience):
                    message = await self._receive()
            except TimeoutError:
                raise BodyTimeout from None
            if message["type"] == "http.disconnect":
                self.done = True
                raise ClientGone
            self.done = not message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            self._seen += len(chunk)
            if self._limit is not None and self._seen > self._limit:
                raise BodyTooLarge
            if chunk:
                return chunk
        return b""

    async def read(self) -> bytes:
        """Return the whole body."""
        return b"".join([chunk async for chunk in self])


class Watch:
    """While the block runs, a client that leaves ends it with ClientGone.

    ``receive`` tells of a disconnect only once the body was read, so the watch waits for that. It costs one timer handle;
    a task is made only for requests that take long.
    """

    __slots__ = ("_body", "_gone", "_handle", "_receive", "_task", "_watcher")

    def __init__(self, receive: Receive, body: RequestBody | None) -> None:
        """Watch the client that ``receive`` belongs to."""
        self._receive = receive
        self._body = body
        self._gone = False
        self._watcher: asyncio.Task[None] | None = None
        self._task: asyncio.Task[object] | None = None
        self._handle: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        """Begin."""
        self._task = asyncio.current_task()
        self._arm()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; turn the cancellation that the watch itself asked for into ClientGone."""
        if self._handle is not None:
            self._handle.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        # The tasks know this watch as it knows them: they would wait for the collector.
        task, self._task, self._watcher, self._handle = self._task, None, None, None
        if self._gone and kind is asyncio.CancelledError and task is not None and task.uncancel() == 0:
            raise ClientGone from None

    def _arm(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(_WATCH_AFTER, self._look)

    def _look(self) -> None:
        if self._body is not None and not self._body.done and not self._body.idle:
            self._arm()
        else:
            self._watcher = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()
