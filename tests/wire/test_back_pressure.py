"""Back-pressure both ways: a slow side makes the other wait, and the bytes held in between are bounded."""

import asyncio
from collections.abc import AsyncIterator

from calling import PATIENT, call, pool_for
from limen.testing import Conversation, ScriptedUpstream
from limen.upstream.request_sender import HIGH_WATER_MARK

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SHORT = 0.05


async def test_a_slow_reader_makes_the_service_wait() -> None:
    said = 0
    piece = b"x" * 65536

    async def script(conversation: Conversation) -> None:
        nonlocal said
        await conversation.head()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (1000 * len(piece)))
        for _ in range(1000):
            await conversation.say(piece)
            said += 1

    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        answer = await call(pool)
        # The service gets stuck when what the kernel and we hold is full. Stopping too early here proves less, not more.
        before = -1
        while before != said:
            before = said
            await asyncio.sleep(SHORT)
        assert said < 1000
        first = await anext(aiter(answer))
        # One read of the loop may pass the mark, by no more than its own size.
        assert len(first) <= HIGH_WATER_MARK + 2**18
        assert len(first) + sum([len(part) async for part in answer]) == 1000 * len(piece)


async def test_a_slow_service_makes_the_sender_wait() -> None:
    asked = 0
    go = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal asked
        for _ in range(1000):
            asked += 1
            yield b"x" * 65536

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await go.wait()
        await conversation.reader.readexactly(1000 * 65536)
        await conversation.say(OK)

    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        task = asyncio.create_task(call(pool, b"PUT", body=body(), length=1000 * 65536, timeouts=PATIENT))
        before = -1
        while before != asked or not server.requests:
            before = asked
            await asyncio.sleep(SHORT)
        assert asked < 1000
        go.set()
        assert await (await task).read(9) == b"ok"
