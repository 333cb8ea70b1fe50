"""One attempt at one request on an acquired connection: write, wait for the head, stream the answer.

1. write the head, with the body or with a task that writes the body
2. wait for the head of the answer
3. the caller iterates over the content; at its end the connection goes back to the pool
4. ``aclose`` releases everything at any point before
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from limen.errors import Fault, Kind
from limen.http.headers import Headers
from limen.upstream import request
from limen.upstream.connection import Connection
from limen.upstream.declared import Timeouts
from limen.upstream.error import UpstreamError
from limen.upstream.pool import Pool

# Bytes of content that are buffered for a slow reader; above it, the connection stops reading.
HIGH_WATER_MARK = 65536

# Seconds after which a loop has polled its sockets again; with 0, uvloop would not poll.
_POLL = 0.001


async def send(
    pool: Pool,
    connection: Connection,
    *,
    method: bytes,
    target: bytes,
    headers: Headers,
    own: bytes = b"",
    body: bytes | AsyncIterator[bytes] | None,
    length: int | None,
    timeouts: Timeouts,
    body_silence: float | None = None,
) -> "UpstreamAnswer":
    """Send a request on ``connection``, which belongs to ``pool``, and return the answer once its head is there.

    ``own`` are header lines that the gateway adds, with their ends. ``length`` is that of an iterated body, if known; else
    the body is chunked. ``body_silence`` is for how many seconds the service may read nothing of an iterated body, None is no
    bound. Raises UpstreamError, and whatever iterating over ``body`` raises; the connection is then dropped.
    Raises ValueError for a head that cannot be written.
    """
    streamed = body is not None and not isinstance(body, bytes)
    known = len(body) if isinstance(body, bytes) else length if streamed else None
    try:
        framing = request.framing(method, streamed=streamed, length=known)
        head = request.head(method, target, connection.target.authority, headers, own, framing)
    except ValueError:
        pool.release(connection)
        raise
    answer = UpstreamAnswer(pool, connection, timeouts)
    try:
        if body is None or isinstance(body, bytes):
            connection.start(answer, method, head + body if body else head, whole=True)
        else:
            connection.start(answer, method, head, whole=False)
            answer.pump(body, known, body_silence)
        await answer.wait_for_head()
    except BaseException:
        await answer.aclose()
        raise
    return answer


class UpstreamAnswer:
    """An answer that is being received: ``status``, ``reason``, ``headers``, and the content by iteration."""

    def __init__(self, pool: Pool, connection: Connection, timeouts: Timeouts) -> None:
        """Made by ``send``."""
        self.status = 0
        self.reason = b""
        self.headers: Headers = []
        self._pool = pool
        self._connection = connection
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._deadline = None if timeouts.total is None else self._loop.time() + timeouts.total
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pump: asyncio.Task[None] | None = None

    # --- the sink ---

    def head(self, status: int, reason: bytes, headers: Headers) -> None:
        """Take the head."""
        self.status = status
        self.reason = reason
        self.headers = headers
        self._wake()

    def body(self, data: bytes) -> None:
        """Buffer a piece of content; stop reading above the high-water mark."""
        self._chunks.append(data)
        self._held += len(data)
        if self._held > HIGH_WATER_MARK:
            self._connection.pause()
        self._wake()

    def flush(self) -> None:
        """Do nothing: ``body`` has woken the reader."""

    def end(self) -> None:
        """Give the connection back; what is buffered can still be read."""
        self._ended = True
        if self._pump is not None and not self._pump.done():
            self._pump.cancel()
        self._pool.release(self._connection)
        self._wake()

    def fault(self, fault: Fault) -> None:
        """Keep the fault, which the reader gets as an exception."""
        self._fail(fault)

    # --- the caller ---

    def pump(self, body: AsyncIterator[bytes], length: int | None, silence: float | None) -> None:
        """Write ``body`` in a task, while the answer may already come."""
        self._pump = self._loop.create_task(self._write(body, length, silence))

    async def wait_for_head(self) -> None:
        """Wait for the head; ``first_byte`` counts from the end of the request."""
        while not self.status:
            if self._error is not None:
                raise self._error
            sending = self._pump is not None and not self._pump.done()
            await self._wait(None if sending else self._timeouts.first_byte)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the content as it arrives."""
        return self

    async def __anext__(self) -> bytes:
        """Return the content that has come since; raises UpstreamError when the answer will not be complete."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            await self._wait(self._timeouts.idle)
        if self._deadline is not None and not self._ended and self._loop.time() > self._deadline:
            raise self._fail(Fault(Kind.ANSWER_TIMEOUT, cause="total time"))
        data = self._chunks.popleft() if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._held = 0
        if not self._ended:
            self._connection.resume()
        return data

    async def read(self, limit: int) -> bytes:
        """Return the whole content; raises UpstreamError when it has more than ``limit`` bytes."""
        parts: list[bytes] = []
        size = 0
        async for part in self:
            size += len(part)
            if size > limit:
                raise UpstreamError(Fault(Kind.UPSTREAM_TOO_LARGE, cause=f"more than {limit} bytes"), sent=True)
            parts.append(part)
        return b"".join(parts)

    async def aclose(self) -> None:
        """Release the connection; if the answer has not ended, it is closed."""
        if not self._ended:
            self._ended = True
            self._connection.abort()
            self._pool.release(self._connection)
        pump, self._pump = self._pump, None
        try:
            if pump is not None:
                pump.cancel()
                await asyncio.wait((pump,))
        finally:
            # A raised exception refers to the frames that refer to this answer. Also if the caller is cancelled here.
            self._error = None

    # --- inside ---

    async def _write(self, body: AsyncIterator[bytes], length: int | None, silence: float | None) -> None:
        connection = self._connection
        left = length
        try:
            async for data in body:
                if left is not None:
                    left -= len(data)
                    if left < 0:
                        raise UpstreamError(Fault(Kind.BAD_REQUEST, "The request body is longer than announced."))
                if data:
                    connection.write(data if length is not None else request.chunk(data))
                async with asyncio.timeout(silence):
                    await connection.drain()
            if left:
                raise UpstreamError(Fault(Kind.BAD_REQUEST, "The request body is shorter than announced."))
            if length is None:
                connection.write(request.LAST_CHUNK)
            connection.finish()
            # The time for the head begins now: ``wait_for_head`` must look again.
            self._wake()
        except TimeoutError:
            self._fail(Fault(Kind.ANSWER_TIMEOUT, cause="the service stopped reading the request"))
        except Exception as error:
            # Reading the client's body failed: the caller must see that exception.
            self._error = self._error or error
            connection.abort()
            self._wake()

    def _fail(self, fault: Fault) -> UpstreamError:
        connection = self._connection
        error = UpstreamError(fault, sent=True, reused=connection.reused, answered=connection.answering)
        if self._error is None:
            self._error = error
        if not self._ended:
            self._ended = True
            connection.abort()
            self._pool.release(connection)
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
        self._wake()
        return error

    async def _wait(self, seconds: float | None) -> None:
        """Wait for the next event; a fault after ``seconds``."""
        if self._deadline is not None:
            left = self._deadline - self._loop.time()
            seconds = left if seconds is None else min(seconds, left)
        self._waiter = waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._expire, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _expire(self, waiter: asyncio.Future[None], last: bool = False) -> None:
        if waiter.done():
            return
        if not last:
            # What came while the loop was blocked came in time: let it be read first.
            self._loop.call_later(_POLL, self._expire, waiter, True)
            return
        self._fail(Fault(Kind.ANSWER_TIMEOUT, cause="silence" if self.status else "no answer"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
