"""Requests and answers over real sockets, on both event loops: what the service sees, what the caller sees, and whether
the connection serves again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from answers import BAD, GOOD, SHORT, Good
from calling import call, counts, pool_for
from limen import Limits
from limen.errors import Kind
from limen.testing import Conversation, Script, ScriptedUpstream, saying
from limen.upstream.error import UpstreamError
from serving import until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HEAD_LIMIT = Limits(head=4096)


def in_bytes(answer: bytes) -> Script:
    """Return a script that writes ``answer`` byte by byte, for every request."""

    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            for index in range(len(answer)):
                await conversation.say(answer[index : index + 1])
                await asyncio.sleep(0)

    return script


def at_once(answer: bytes) -> Script:
    return saying(answer, answer, answer)


@pytest.mark.parametrize("feed", [at_once, in_bytes])
@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
async def test_a_good_answer_and_whether_the_connection_serves_again(
    case: Good, feed: Callable[[bytes], Script]
) -> None:
    async with ScriptedUpstream(feed(case.answer)) as server:
        pool = pool_for(server.url)
        for _ in range(2):
            answer = await call(pool, case.method)
            assert (answer.status, await answer.read(100)) == (case.status, case.content)
            assert case.headers is None or answer.headers == case.headers
            assert counts(pool) == (int(case.reused), 0, 0)
        assert server.connections == (1 if case.reused else 2)
        await pool.aclose()


@pytest.mark.parametrize("behind", [OK, b"x"], ids=["a second answer", "garbage"])
@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
async def test_bytes_behind_an_answer_cost_the_connection(case: Good, behind: bytes) -> None:
    async with ScriptedUpstream(at_once(case.answer + behind)) as server:
        pool = pool_for(server.url)
        for expected in (1, 2):
            answer = await call(pool, case.method)
            assert (answer.status, await answer.read(100)) == (case.status, case.content)
            await until(lambda: counts(pool) == (0, 0, 0))
            assert server.connections == expected


@pytest.mark.parametrize("feed", [at_once, in_bytes])
@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
async def test_a_bad_answer_is_a_fault_and_costs_the_connection(answer: bytes, feed: Callable[[bytes], Script]) -> None:
    async with ScriptedUpstream(feed(answer)) as server:
        pool = pool_for(server.url, limits=HEAD_LIMIT)
        with pytest.raises(UpstreamError) as caught:
            await (await call(pool)).read(100)
        error = caught.value
        assert (error.fault.kind, error.sent, error.answered) == (Kind.UPSTREAM_PROTOCOL, True, True)
        assert not error.reused
        assert counts(pool) == (0, 0, 0)


@pytest.mark.parametrize("answer", SHORT.values(), ids=SHORT)
async def test_a_short_answer_is_a_fault(answer: bytes) -> None:
    async with ScriptedUpstream(saying(answer)) as server:
        pool = pool_for(server.url)
        with pytest.raises(UpstreamError) as caught:
            await (await call(pool)).read(100)
        assert (caught.value.fault.kind, caught.value.answered) == (Kind.UPSTREAM_CLOSED, bool(answer))
        assert counts(pool) == (0, 0, 0)


async def test_a_close_delimited_answer_ends_with_the_connection() -> None:
    async with ScriptedUpstream(saying(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")) as server:
        pool = pool_for(server.url)
        for expected in (1, 2):
            assert await (await call(pool)).read(100) == b"until the end"
            assert server.connections == expected
        assert counts(pool) == (0, 0, 0)


async def test_a_large_answer_in_one_write_is_not_a_long_head() -> None:
    content = b"x" * 1_000_000
    async with ScriptedUpstream(at_once(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + content)) as server:
        pool = pool_for(server.url, limits=HEAD_LIMIT)
        assert await (await call(pool)).read(1_000_000) == content
        answer = await call(pool)
        with pytest.raises(UpstreamError, match="upstream_too_large: more than 999999 bytes"):
            await answer.read(999_999)
        await answer.aclose()
        await pool.aclose()


async def test_the_request_as_the_service_sees_it() -> None:
    async with ScriptedUpstream(at_once(OK)) as server:
        pool = pool_for(server.url)
        await (await call(pool, b"GET", b"/a%2Fb?c=d&c=%20", headers=[(b"x", b"\xff"), (b"x", b"2")])).read(9)
        await (await call(pool, b"POST", b"/")).read(9)
        await (await call(pool, b"DELETE", b"/", body=b"content")).read(9)
        host = b"host: localhost:%d" % server.port
        assert server.requests == [
            b"GET /a%2Fb?c=d&c=%20 HTTP/1.1\r\n" + host + b"\r\nx: \xff\r\nx: 2\r\n\r\n",
            b"POST / HTTP/1.1\r\n" + host + b"\r\ncontent-length: 0\r\n\r\n",
            b"DELETE / HTTP/1.1\r\n" + host + b"\r\ncontent-length: 7\r\n\r\n",
        ]
        assert server.connections == 1
        await pool.aclose()


async def test_a_head_that_cannot_be_written_costs_nothing() -> None:
    async with ScriptedUpstream(at_once(OK)) as server:
        pool = pool_for(server.url)
        with pytest.raises(ValueError, match="not a header line"):
            await call(pool, headers=[(b"x", b"a\r\nrequest-user-id: 1")])
        assert counts(pool) == (1, 0, 0)
        await (await call(pool)).read(9)
        assert (server.connections, len(server.requests)) == (1, 1)
        await pool.aclose()


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


@pytest.mark.parametrize(
    ("length", "head", "written"),
    [
        (6, b"content-length: 6", b"abcdef"),
        (None, b"transfer-encoding: chunked", b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),
    ],
)
async def test_a_streamed_body(length: int | None, head: bytes, written: bytes) -> None:
    seen: list[bytes] = []

    async def script(conversation: Conversation) -> None:
        for _ in range(2):
            await conversation.head()
            seen.append(await conversation.reader.readexactly(len(written)))
            await conversation.say(OK)
        await conversation.reader.read()

    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        for _ in range(2):
            answer = await call(pool, b"PUT", body=pieces(b"abc", b"", b"def"), length=length)
            assert await answer.read(9) == b"ok"
            await answer.aclose()
            assert counts(pool) == (1, 0, 0)
        assert seen == [written, written]
        assert all(head in request for request in server.requests)
        assert server.connections == 1
        await pool.aclose()


async def test_answers_come_while_the_body_is_still_being_sent() -> None:
    more = asyncio.Event()
    stopped = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        try:
            await more.wait()
        finally:
            stopped.set()

    async def early(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK)

    async with ScriptedUpstream(early) as server:
        pool = pool_for(server.url)
        answer = await call(pool, b"POST", body=body())
        assert (answer.status, await answer.read(9)) == (200, b"ok")
        await answer.aclose()
        # The rest of the body has nowhere to go: it is not read, and the connection cannot serve again.
        await stopped.wait()
        assert counts(pool) == (0, 0, 0)


class Broken(Exception):
    """What the client's side raises."""


@pytest.mark.parametrize("length", [None, 100])
async def test_a_body_that_breaks_is_the_callers_own_error_and_never_a_whole_request(length: int | None) -> None:
    seen: list[bytes] = []

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        seen.append(await conversation.reader.read())

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await until(lambda: bool(server.requests))
        raise Broken

    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        with pytest.raises(Broken):
            await call(pool, b"POST", body=body(), length=length)
        assert counts(pool) == (0, 0, 0)
    assert not any(b"0\r\n\r\n" in part for part in seen)


@pytest.mark.parametrize(("length", "word"), [(3, "longer"), (30, "shorter")])
async def test_a_body_of_another_length_than_announced(length: int, word: str) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.read()

    async with ScriptedUpstream(script) as server:
        pool = pool_for(server.url)
        with pytest.raises(UpstreamError) as caught:
            await call(pool, b"POST", body=pieces(b"ab", b"cdefghijkl"), length=length)
        assert caught.value.fault.kind is Kind.BAD_REQUEST
        assert word in caught.value.fault.text
        assert counts(pool) == (0, 0, 0)
