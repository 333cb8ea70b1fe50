"""The scripted service itself: what it records, and that an error in a script fails the test."""

import asyncio

import pytest

from calling import call, pool_for
from limen.testing import Conversation, Script, ScriptedUpstream, saying
from serving import until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def broken(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.say(OK)
    raise AssertionError("not the request that was expected")


async def test_a_script_that_fails_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="not the request that was expected"):
        await talk_to(broken)


async def test_the_tests_own_failure_comes_first() -> None:
    with pytest.raises(KeyError):
        await talk_to(broken, KeyError())


async def talk_to(script: Script, error: Exception | None = None) -> None:
    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        assert await (await call(pool)).read(9) == b"ok"
        # The failure comes a few turns of the loop after the answer.
        await until(lambda: bool(server.errors))
        if error is not None:
            raise error


async def test_what_was_seen_is_recorded_and_the_last_script_repeats() -> None:
    async with ScriptedUpstream(saying(OK), saying(OK[:-2] + b"hi")) as server:
        reads: list[bytes] = []
        for _ in range(3):
            pool = pool_for(server.url)
            reads.append(await (await call(pool, b"PUT", b"/x", body=b"abc")).read(9))
            await pool.aclose()
        assert reads == [b"ok", b"hi", b"hi"]
        assert server.connections == 3
        assert [request.partition(b" HTTP")[0] for request in server.requests] == [b"PUT /x"] * 3


async def test_leaving_ends_conversations_that_still_run() -> None:
    started = asyncio.Event()
    ended = asyncio.Event()

    async def endless(conversation: Conversation) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with ScriptedUpstream(endless) as server:
        await pool_for(server.url).acquire(10)
        await started.wait()
    assert ended.is_set()
