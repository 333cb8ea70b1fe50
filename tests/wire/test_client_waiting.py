"""Timeouts and cancellation: whatever happens while a caller waits, the pool gets everything back."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from calling import call, counts, pool_for
from limen import Limits, Timeouts
from limen.errors import Kind
from limen.testing import Conversation, ScriptedUpstream, saying
from limen.upstream.error import UpstreamError
from serving import until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe"
SHORT = 0.05
# For what must still succeed on a busy computer before the time is up.
LONG = 0.5


async def silent(conversation: Conversation) -> None:
    await conversation.head()
    await conversation.reader.read()


async def halting(conversation: Conversation) -> None:
    await conversation.head()
    await conversation.say(HALF)
    await conversation.reader.read()


async def trickling(conversation: Conversation) -> None:
    await conversation.head()
    await conversation.say(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await conversation.say(b".")
        await asyncio.sleep(0.001)


async def never_reads(conversation: Conversation) -> None:
    await asyncio.Event().wait()


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65536


async def stuck() -> AsyncIterator[bytes]:
    yield b"first"
    await asyncio.Event().wait()


def fault_of(caught: pytest.ExceptionInfo[UpstreamError]) -> tuple[Kind, str]:
    return caught.value.fault.kind, caught.value.fault.cause


async def test_no_answer_in_time() -> None:
    async with ScriptedUpstream(silent) as server:
        pool = pool_for(server.url)
        with pytest.raises(UpstreamError) as caught:
            await call(pool, timeouts=Timeouts(first_byte=SHORT))
        assert fault_of(caught) == (Kind.ANSWER_TIMEOUT, "no answer")
        assert (caught.value.sent, caught.value.answered) == (True, False)
        assert counts(pool) == (0, 0, 0)


async def test_an_answer_that_came_while_the_loop_was_held_up_came_in_time() -> None:
    def hold_up() -> None:
        time.sleep(4 * SHORT)

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        for part in (OK[:-1], OK[-1:]):
            await conversation.say(part)
            hold_up()
        await conversation.reader.read()

    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        answer = await call(pool, timeouts=Timeouts(first_byte=2 * SHORT, idle=2 * SHORT))
        assert await answer.read(9) == b"ok"
        await pool.aclose()


async def test_silence_within_an_answer() -> None:
    async with ScriptedUpstream(halting) as server:
        pool = pool_for(server.url)
        answer = await call(pool, timeouts=Timeouts(idle=SHORT))
        assert await anext(aiter(answer)) == b"he"
        with pytest.raises(UpstreamError) as caught:
            await anext(aiter(answer))
        with pytest.raises(UpstreamError):
            await anext(aiter(answer))
        assert fault_of(caught) == (Kind.ANSWER_TIMEOUT, "silence")
        assert caught.value.answered
        assert counts(pool) == (0, 0, 0)


@pytest.mark.parametrize("script", [silent, trickling, halting])
async def test_the_total_time_bounds_everything(script: Any) -> None:
    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        with pytest.raises(UpstreamError) as caught:
            await (await call(pool, timeouts=Timeouts(total=SHORT))).read(10**9)
        assert caught.value.fault.kind is Kind.ANSWER_TIMEOUT
        assert counts(pool) == (0, 0, 0)


async def test_the_total_time_ends_an_answer_that_never_pauses() -> None:
    async with ScriptedUpstream(trickling) as server:
        pool = pool_for(server.url)
        answer = await call(pool, timeouts=Timeouts(total=LONG))
        await asyncio.sleep(1.2 * LONG)
        with pytest.raises(UpstreamError) as caught:
            await anext(aiter(answer))
        assert fault_of(caught) == (Kind.ANSWER_TIMEOUT, "total time")
        assert counts(pool) == (0, 0, 0)


async def test_a_service_that_stops_reading() -> None:
    async with ScriptedUpstream(never_reads) as server:
        pool = pool_for(server.url)
        with pytest.raises(UpstreamError) as caught:
            await call(pool, b"POST", body=endless(), timeouts=Timeouts(idle=SHORT))
        assert fault_of(caught) == (Kind.ANSWER_TIMEOUT, "the service stopped reading the request")
        assert counts(pool) == (0, 0, 0)


async def test_a_slow_client_is_not_the_services_silence() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(1.2 * LONG)
        yield b"last"

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.readuntil(b"0\r\n\r\n")
        await conversation.say(OK)

    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        answer = await call(pool, b"POST", body=slow(), timeouts=Timeouts(first_byte=LONG, idle=LONG))
        assert await answer.read(9) == b"ok"


async def test_a_reset_ends_a_body_that_is_being_sent() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        conversation.reset()

    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        with pytest.raises(UpstreamError) as caught:
            await call(pool, b"POST", body=endless())
        assert caught.value.fault.kind is Kind.UPSTREAM_CLOSED
        assert counts(pool) == (0, 0, 0)


async def test_cancelled_while_waiting_for_the_head() -> None:
    async with ScriptedUpstream(silent) as server:
        pool = pool_for(server.url)
        task = asyncio.create_task(call(pool))
        await until(lambda: bool(server.requests))
        assert counts(pool) == (0, 1, 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert counts(pool) == (0, 0, 0)


async def test_cancelled_while_the_body_is_being_sent() -> None:
    closed = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            async for part in stuck():
                yield part
        finally:
            closed.set()

    async with ScriptedUpstream(silent) as server:
        pool = pool_for(server.url)
        task = asyncio.create_task(call(pool, b"POST", body=body()))
        await until(lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed.is_set()
        assert counts(pool) == (0, 0, 0)


async def test_cancelled_while_the_answer_is_being_read() -> None:
    async with ScriptedUpstream(halting) as server:
        pool = pool_for(server.url)
        answer = await call(pool)
        parts: list[bytes] = []

        async def reading() -> None:
            try:
                async for part in answer:
                    parts.append(part)
            finally:
                await answer.aclose()

        task = asyncio.create_task(reading())
        await until(lambda: bool(parts))
        assert counts(pool) == (0, 1, 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await answer.aclose()
        assert counts(pool) == (0, 0, 0)


async def test_cancelled_while_waiting_in_line() -> None:
    async with ScriptedUpstream(silent) as server:
        pool = pool_for(server.url, limits=Limits(connections=1))
        first, second = (asyncio.create_task(call(pool)) for _ in range(2))
        await until(lambda: counts(pool) == (0, 1, 1))
        second.cancel()
        await asyncio.wait((second,))
        assert counts(pool) == (0, 1, 0)
        first.cancel()
        await asyncio.wait((first,))
        assert counts(pool) == (0, 0, 0)


async def test_buffered_content_can_be_read_after_the_end_and_after_a_fault() -> None:
    async with ScriptedUpstream(saying(OK), saying(HALF)) as server:
        pool = pool_for(server.url)
        answer = await call(pool)
        await until(lambda: counts(pool)[1] == 0)
        await answer.aclose()
        assert await answer.read(9) == b"ok"
        await pool.aclose()
        again = pool_for(server.url)
        answer = await call(again)
        await until(lambda: counts(again)[1] == 0)
        assert await anext(aiter(answer)) == b"he"
        with pytest.raises(UpstreamError, match="upstream_closed"):
            await anext(aiter(answer))
