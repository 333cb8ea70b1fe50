"""Answers as bytes: each fed whole, cut in two at every place, byte by byte, and with more bytes behind it.

The transport is a fake, so that the cuts are exact; ``test_client`` says the same over real sockets.
"""

import asyncio

import pytest

from answers import BAD, GOOD, LIMIT, OK, SHORT, Good
from limen.errors import Kind
from limen.upstream.connection import Connection
from talk import TARGET, Talk, Wire
from turning import timeless


def check_good(talk: Talk, case: Good) -> None:
    seen = talk.seen
    assert (seen.status, seen.content, seen.ended, seen.kind) == (case.status, case.content, True, None)
    assert case.headers is None or seen.headers == case.headers


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
def test_a_good_answer_reads_the_same_however_it_is_cut(case: Good) -> None:
    size = len(case.answer)
    cuts = [[case.answer], [case.answer[i : i + 1] for i in range(size)]]
    cuts += [[case.answer[:i], case.answer[i:]] for i in range(1, size)]
    for parts in cuts:
        talk = Talk(case.method)
        talk.feed(*parts)
        check_good(talk, case)
        assert talk.connection.reusable is case.reused


@pytest.mark.parametrize("behind", [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"x", b"0\r\n\r\n", b"hello"])
@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
def test_bytes_behind_a_good_answer_are_never_the_next_answer(case: Good, behind: bytes) -> None:
    both = case.answer + behind
    for parts in ([both], [case.answer, behind], [both[i : i + 1] for i in range(len(both))]):
        talk = Talk(case.method)
        talk.feed(*parts)
        check_good(talk, case)
        assert not talk.connection.reusable
        # A connection that was to be closed anyway may be left to the pool, which aborts what it cannot keep.
        assert talk.wire.aborted or not case.reused


@pytest.mark.parametrize("case", [case for case in GOOD.values() if case.reused], ids=repr)
def test_a_kept_connection_serves_again(case: Good) -> None:
    talk = Talk(case.method)
    talk.feed(case.answer)
    assert not talk.connection.reused
    talk.begin()
    talk.feed(case.answer)
    check_good(talk, case)
    assert talk.connection.reused
    assert talk.connection.reusable


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_a_close_delimited_answer_is_whole_at_the_end_of_the_connection(head: bytes) -> None:
    answer = head + b"until the end"
    for parts in ([answer], [answer[i : i + 1] for i in range(len(answer))]):
        talk = Talk()
        talk.feed(*parts)
        assert not talk.seen.ended
        talk.leave()
        assert (talk.seen.status, talk.seen.content, talk.seen.ended) == (200, b"until the end", True)
        assert not talk.connection.reusable


def test_a_close_delimited_answer_that_breaks_is_not_whole() -> None:
    talk = Talk()
    talk.feed(b"HTTP/1.1 200 OK\r\n\r\nuntil")
    talk.leave(ConnectionResetError("reset"))
    assert (talk.seen.ended, talk.seen.kind, talk.seen.cause) == (False, Kind.UPSTREAM_CLOSED, "reset")


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_a_bad_answer_is_a_fault_however_it_is_cut(answer: bytes) -> None:
    half = len(answer) // 2
    for parts in ([answer], [answer[:half], answer[half:]], [answer[i : i + 1] for i in range(len(answer))]):
        talk = Talk()
        talk.feed(*parts)
        assert (talk.seen.ended, talk.seen.kind) == (False, Kind.UPSTREAM_PROTOCOL), talk.seen
        assert talk.seen.cause
        assert talk.wire.aborted
        assert not talk.connection.reusable


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
@pytest.mark.parametrize("answer", SHORT.values(), ids=SHORT)
def test_a_short_answer_is_never_whole(answer: bytes, error: Exception | None) -> None:
    for parts in ([answer], [answer[i : i + 1] for i in range(len(answer))]):
        talk = Talk()
        talk.feed(*[part for part in parts if part])
        talk.leave(error)
        assert (talk.seen.ended, talk.seen.kind) == (False, Kind.UPSTREAM_CLOSED)
        assert talk.connection.answering is bool(answer)
        assert talk.lost == 1


def test_a_short_head_with_a_long_body_in_one_read_is_not_a_long_head() -> None:
    content = b"x" * (LIMIT * 3)
    talk = Talk()
    talk.feed(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
    assert (talk.seen.kind, talk.seen.content, talk.connection.reusable) == (None, content, True)


def test_a_head_of_exactly_the_limit_passes() -> None:
    start, end = b"HTTP/1.1 200 OK\r\nx: ", b"\r\ncontent-length: 0\r\n\r\n"
    head = start + b"y" * (LIMIT - len(start) - len(end)) + end
    for parts in ([head], [head[i : i + 1] for i in range(len(head))]):
        talk = Talk()
        talk.feed(*parts)
        assert talk.seen.ended


def test_too_many_lines_are_a_long_head() -> None:
    talk = Talk(limit=65536)
    talk.feed(OK + b"a:\r\n" * 1026)
    assert talk.seen.kind is Kind.UPSTREAM_PROTOCOL


def test_bytes_on_an_idle_connection_end_it() -> None:
    connection = Connection(TARGET, LIMIT, lambda _: None, timeless())
    wire = Wire()
    connection.connection_made(wire)
    assert connection.reusable
    connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert wire.aborted
    assert not connection.reusable


def test_an_answer_before_the_request_was_whole_does_not_keep_the_connection() -> None:
    talk = Talk(b"POST", whole=False)
    talk.feed(OK + b"content-length: 0\r\n\r\n")
    assert talk.seen.ended
    assert not talk.connection.reusable
    talk = Talk(b"POST", whole=False)
    talk.connection.finish()
    talk.feed(OK + b"content-length: 0\r\n\r\n")
    assert talk.connection.reusable


def test_nothing_is_reported_after_an_abort() -> None:
    talk = Talk()
    talk.feed(OK + b"content-length: 9\r\n\r\nab")
    talk.connection.abort()
    talk.connection.data_received(b"cd")
    talk.leave(ConnectionResetError())
    assert (talk.seen.content, talk.seen.ended, talk.seen.kind, talk.lost) == (b"ab", False, None, 1)


def test_the_end_of_a_connection_is_reported_to_the_exchange() -> None:
    talk = Talk()
    talk.connection.close()
    assert (talk.seen.kind, talk.wire.aborted) == (Kind.UPSTREAM_CLOSED, True)
    talk.leave()
    assert talk.lost == 1


def test_an_exchange_on_a_lost_connection_fails_at_once() -> None:
    talk = Talk()
    talk.feed(OK + b"content-length: 0\r\n\r\n")
    talk.leave()
    talk.begin()
    assert talk.seen.kind is Kind.UPSTREAM_CLOSED
    assert talk.wire.written == b"request"


def test_a_connection_never_made_can_be_dropped() -> None:
    connection = Connection(TARGET, LIMIT, lambda _: None, timeless())
    connection.pause()
    connection.resume()
    connection.write(b"x")
    connection.close()
    connection.abort()
    assert not connection.reusable


def test_pausing_and_resuming_reach_the_transport_once() -> None:
    talk = Talk()
    talk.connection.resume()
    for expected in (False, True):
        for _ in range(2):
            if expected:
                talk.connection.resume()
            else:
                talk.connection.pause()
            assert talk.wire.reading is expected
    talk.connection.pause()
    talk.connection.lost = True
    talk.connection.resume()
    assert not talk.wire.reading


async def test_drain_waits_while_the_service_reads_slowly() -> None:
    connection = Talk(whole=False).connection
    await connection.drain()
    connection.resume_writing()
    connection.pause_writing()
    connection.pause_writing()
    waiting = asyncio.create_task(connection.drain())
    await asyncio.sleep(0)
    assert not waiting.done()
    connection.resume_writing()
    await waiting


async def test_a_lost_connection_ends_waiting_writers() -> None:
    talk = Talk(whole=False)
    talk.connection.pause_writing()
    waiting = [asyncio.create_task(talk.connection.drain()) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    talk.leave()
    await waiting[1]
    assert talk.seen.kind is Kind.UPSTREAM_CLOSED


def test_repr_shows_the_state() -> None:
    talk = Talk()
    assert repr(talk.connection) == "<Connection http://localhost:1 busy uses=1>"
    talk.feed(OK + b"content-length: 0\r\n\r\n")
    assert repr(talk.connection) == "<Connection http://localhost:1 idle uses=1>"
    talk.leave()
    assert repr(talk.connection) == "<Connection http://localhost:1 lost uses=1>"
