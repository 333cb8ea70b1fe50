"""The client's side of an ASGI request: its body as a bounded stream, and the watch for a client that leaves."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import TypeVar

from starlette.types import Receive

from limen.exchange.granted import Transform
from limen.fairness.body_memory import BodyMemory

# A client that leaves is noticed within about this many seconds; most requests end before and pay one timer handle.
_WATCH_AFTER = 0.25

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed the connection before it had its answer."""


class BodyTooLarge(Exception):
    """The body passed its bound while it was read."""


class BodyTimeout(Exception):
    """The client sent nothing for too long."""


class BodyCut(Exception):
    """The worker holds too much, and this body had to give way."""


class BodyLost(Exception):
    """The server has emptied the body; see ``limen.engines.asgi.refusal.may_be_lost``."""


class RequestBody:
    """An asynchronous iterator over the request body.

    ``limit`` is in bytes, None means unbounded; ``idle_timeout`` is the most seconds between two pieces. What is held, and
    not iterated over as it comes, counts among the ``bodies`` of the worker.
    """

    __slots__ = (
        *("_again", "_bodies", "_cut", "_held", "_idle_timeout", "_kept", "_kept_size", "_limit", "_receive"),
        *("_transform", "_unreliable", "_waiting", "done", "idle", "keep_most", "length", "seen", "untouched"),
    )

    def __init__(
        self,
        receive: Receive,
        length: int | None,
        limit: int | None,
        *,
        idle_timeout: float,
        empty: bool,
        bodies: BodyMemory,
        unreliable: bool = False,
    ) -> None:
        """``length`` is the announced one; ``empty`` says that the framing announces no content at all.

        ``unreliable`` is a server that may have emptied the body: one without content is taken for that.
        """
        self._unreliable = unreliable
        self._transform: Transform | None = None
        self._bodies = bodies
        self._cut = False
        self._waiting: asyncio.Timeout | None = None
        self._idle_timeout = idle_timeout
        self._receive = receive
        self._limit = limit
        self.seen = 0
        self._held: deque[bytes] | None = None
        self.length = length
        self.done = False
        self.idle = empty  # nobody will read it: there is nothing but the final empty message
        self.untouched = True
        self.keep_most = 0
        self._kept: list[bytes] | None = []  # what was iterated over; None once it is too much
        self._kept_size = 0
        self._again: deque[bytes] = deque()

    @property
    def replayable(self) -> bool:
        """Tell whether all that was iterated over can be had again."""
        return self.untouched or self._kept is not None

    @property
    def kept_whole(self) -> bool:
        """Tell whether all of the body has come and is kept."""
        return self.done and not self.untouched and self._kept is not None and not self._held

    def rewind(self) -> None:
        """Let the next one iterate from the beginning. Raises BodyCut if what was kept had to give way since it was asked."""
        if self._kept is None:
            raise BodyCut
        self._again = deque(self._kept)

    def copy(self) -> AsyncIterator[bytes]:
        """Return an iterator of its own over a body that is ``kept_whole``."""
        return _Pieces(self._kept or ())

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the chunks as they arrive."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk; raises ClientGone, BodyTimeout, BodyTooLarge and BodyCut."""
        if self.untouched:
            self.untouched = False
            self.release()  # from here on it streams
        if self._cut:
            raise BodyCut
        if self._again:
            return self._again.popleft()
        while chunk := self._held.popleft() if self._held else await self._next_chunk():
            if self._transform is not None:
                chunk = self._transform.feed(chunk) + self._transform.flush()
            if chunk:
                return self._keep(chunk)
        transform, self._transform = self._transform, None
        if transform is not None and (rest := transform.end()):
            return self._keep(rest)
        raise StopAsyncIteration

    def _keep(self, chunk: bytes) -> bytes:
        if self._kept is not None:
            self._kept_size += len(chunk)
            if self._kept_size > self.keep_most:
                self._kept = None
                self.release()
            else:
                self._kept.append(chunk)
                self._bodies.add(self, len(chunk))
        return chunk

    def change_by(self, transform: Transform) -> None:
        """Let whoever iterates have what ``transform`` makes of the body."""
        self._transform = transform

    async def gather(self, waits: Callable[[int], bool]) -> None:
        """Hold what comes, to be iterated over later, until it is whole or ``waits`` denies it of so many bytes.

        Raises what iterating does.
        """
        while not self.done and waits(self.seen):
            if self._held is None:
                self._held = deque()
            if chunk := await self._next_chunk():
                self._held.append(chunk)
                self._count(chunk)

    async def _next_chunk(self) -> bytes:
        """Return what comes next; nothing is the end."""
        while not self.done:
            try:
                message = await self.unless_cut(self._receive, self._idle_timeout)
            except TimeoutError:
                raise BodyTimeout from None
            if message["type"] == "http.disconnect":
                self.done = True
                raise ClientGone
            self.done = not message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            self.seen += len(chunk)
            if self._unreliable and self.done and not self.seen:
                raise BodyLost
            if self._limit is not None and self.seen > self._limit:
                raise BodyTooLarge
            if chunk:
                return chunk
        return b""

    async def unless_cut(self, wait: Callable[[], Awaitable[T]], seconds: float | None = None) -> T:
        """Return what ``wait`` gives, while this holds what has come.

        Raises BodyCut as soon as the body has to give way, and TimeoutError after ``seconds``.
        """
        if self._cut:
            raise BodyCut
        try:
            async with asyncio.timeout(seconds) as self._waiting:
                return await wait()
        except TimeoutError:
            if self._cut:
                raise BodyCut from None
            raise
        finally:
            self._waiting = None

    async def read(self) -> bytes:
        """Return the whole body, which counts as held until it is released; raises what iterating does."""
        self.untouched = False
        chunks: list[bytes] = []
        while chunk := await self._next_chunk():
            chunks.append(chunk)
            self._count(chunk)
        return b"".join(chunks)

    def release(self) -> None:
        """Count no longer among what the worker holds."""
        self._bodies.drop(self)

    def cut(self) -> None:
        """Give up: whoever reads, gathers or iterates over this body, or waits while it is held, gets BodyCut.

        What is only kept for another attempt is dropped, and nobody gets anything.
        """
        if self._kept:
            self._kept = None
            return
        self._cut = True
        if self._held:
            self._held.clear()
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def _count(self, chunk: bytes) -> None:
        self._bodies.add(self, len(chunk))
        if self._cut:
            raise BodyCut


class _Pieces:
    """Iterates over what is there."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = deque(pieces)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.popleft()


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
