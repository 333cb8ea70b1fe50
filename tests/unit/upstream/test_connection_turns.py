"""What one connection takes of a turn of the loop, and how often it calls its sink, whatever a service sends; all counted."""

import asyncio
import itertools
import math
from collections.abc import Callable

import pytest

from answers import LIMIT
from limen.errors import Kind
from limen.fairness.scheduler import CLOSE_COST, LONG_READ, READ_COST, ROUND, LoopScheduler
from limen.upstream.connection import Connection
from talk import RecordedAnswer, Talk
from turning import timeless

READ = 262_144  # what one read brings at most
PIECE = 4_096
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
SMALL = b"1\r\nx\r\n"
MANY = (READ - len(CHUNKED) - len(LAST)) // len(SMALL)


def busy(limit: int = LIMIT) -> Talk:
    """Return one whose every step takes all the time of a round."""
    clock = itertools.count(0.0, 2 * ROUND)
    return Talk(limit=limit, turns=LoopScheduler(asyncio.get_running_loop(), lambda: next(clock)))


async def turns(talk: Talk, seen: RecordedAnswer) -> list[int]:
    """Return how much content came in each turn of the loop, until nothing more does."""
    found = [len(seen.content)]
    while not talk.wire.reading:
        await asyncio.sleep(0)
        found.append(len(seen.content) - sum(found))
    return found


async def most_in_a_turn(count: Callable[[], int], wanted: int) -> int:
    """Let the loop turn until ``count`` is ``wanted``; return by how much it grew in one turn at most."""
    most, before = 0, count()
    while before < wanted:
        await asyncio.sleep(0)
        now = count()
        most, before = max(most, now - before), now
    return most


async def test_small_chunks_are_taken_in_several_turns_and_given_on_together() -> None:
    talk = busy()
    seen = talk.seen
    talk.feed(CHUNKED + SMALL * MANY + LAST)
    assert not seen.ended
    found = await turns(talk, seen)
    assert seen.ended
    assert seen.content == b"x" * MANY
    assert max(found) <= PIECE // len(SMALL) + 1
    assert seen.calls <= 2 * (READ // PIECE + 1)  # a piece may begin within a chunk
    assert talk.connection.reusable
    assert not talk.wire.aborted


async def test_chunks_of_a_usual_size_take_one_turn() -> None:
    talk = Talk()
    seen = talk.seen
    talk.feed(CHUNKED + (b"2000\r\n" + bytes(8192) + b"\r\n") * 31)
    assert len(seen.content) == 31 * 8192
    assert not talk.wire.reading  # other connections have their turn before the next read
    await asyncio.sleep(0)
    assert talk.wire.reading


@pytest.mark.parametrize("size", [1, 100, PIECE, READ // 8])
async def test_content_with_a_length_is_given_on_as_it_was_read(size: int) -> None:
    talk = Talk()
    talk.feed(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (2 * size))
    talk.feed(b"x" * size, b"x" * size)
    assert talk.seen.calls == 2
    assert talk.seen.ended


async def test_a_long_read_ends_the_turn_and_short_ones_do_not() -> None:
    talk = Talk()
    talk.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", bytes(LONG_READ - 1))
    assert talk.wire.reading
    talk.feed(bytes(READ))
    assert not talk.wire.reading
    assert talk.seen.calls == 2
    talk.connection.pause()
    await asyncio.sleep(0)
    assert not talk.wire.reading  # now it is the client for whom it waits
    talk.connection.resume()
    assert talk.wire.reading


async def test_a_client_that_does_not_read_stops_what_was_read_already() -> None:
    talk = busy()
    seen = talk.seen
    talk.feed(CHUNKED + SMALL * MANY + LAST)
    before = len(seen.content)
    talk.connection.pause()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(seen.content) == before
    talk.connection.resume()
    assert len(seen.content) == before  # not within the call of who resumes
    assert sum(await turns(talk, seen)) == MANY
    assert seen.ended


async def test_an_answer_that_ends_amid_a_long_read_leaves_the_connection_out_of_step() -> None:
    talk = Talk()
    reusable: list[bool] = []

    class Ends(RecordedAnswer):
        def end(self) -> None:
            super().end()
            reusable.append(talk.connection.reusable)

    seen = talk.seen = Ends()
    talk.connection = Connection(talk.connection.target, talk.limit, lambda _: None, talk.turns)
    talk.connection.connection_made(talk.wire)
    talk.connection.start(seen, b"GET", b"request", whole=True)
    talk.feed(CHUNKED + LAST + b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + bytes(READ // 2))
    await turns(talk, seen)
    assert seen.ended
    assert reusable == [False] * len(reusable)
    assert talk.wire.aborted


@pytest.mark.parametrize("error", [None, ConnectionResetError()])
async def test_a_connection_that_ends_has_given_on_what_was_read(error: Exception | None) -> None:
    talk = busy()
    seen = talk.seen
    talk.feed(CHUNKED + SMALL * MANY + LAST)
    assert not seen.ended
    talk.leave(error)
    assert seen.ended
    assert seen.content == b"x" * MANY
    await asyncio.sleep(0)
    assert not talk.connection.reusable


async def test_nothing_comes_after_an_answer_was_given_up() -> None:
    talk = busy()
    talk.feed(CHUNKED + SMALL * MANY + LAST)
    before = len(talk.seen.content)
    talk.connection.abort()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(talk.seen.content) == before
    assert not talk.seen.ended


async def test_only_content_is_progress() -> None:
    head = CHUNKED[:-1] + b"\n"
    talk = Talk()
    for i in range(len(head)):
        talk.feed(head[i : i + 1])
        assert talk.seen.flushes == (i == len(head) - 1)  # none is for a part of a head
    for byte in (b"4", b";", b"a", b"\r", b"\n"):
        talk.feed(byte)
    assert talk.seen.flushes == 1
    talk.feed(b"o", b"k")
    assert talk.seen.flushes == 3
    talk.feed(b"ay", b"\r", b"\n", b"0", b"\r", b"\n", b"t", b":", b"x", b"\r\n")
    assert talk.seen.flushes == 4
    talk.feed(b"\r\n")
    assert talk.seen.ended


async def test_interim_answers_are_no_progress() -> None:
    talk = Talk()
    talk.feed(*[b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"] * 10)
    assert talk.seen.flushes == 0
    assert talk.seen.kind is None


async def test_trailers_are_bounded_in_number() -> None:
    talk = Talk()
    line = b"a:\r\n"
    most = talk.limit // (len(line) + 32)
    talk.feed(CHUNKED + b"0\r\n" + line * most)
    assert talk.seen.kind is None
    talk.feed(line * 24)  # the last chunk has some air, too
    assert talk.seen.kind is Kind.UPSTREAM_PROTOCOL
    assert "besides content" in talk.seen.cause


async def test_content_before_what_is_malformed_is_given_on() -> None:
    talk = Talk()
    talk.feed(CHUNKED + SMALL * 10 + b"no chunk\r\n")
    assert talk.seen.content == b"x" * 10
    assert talk.seen.kind is Kind.UPSTREAM_PROTOCOL


async def test_of_many_long_answers_few_are_read_in_one_turn() -> None:
    line = timeless()
    talks = [Talk(turns=line) for _ in range(100)]
    for talk in talks:
        talk.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", bytes(LONG_READ))
    assert await most_in_a_turn(lambda: sum(talk.wire.reading for talk in talks), 100) <= math.ceil(ROUND / READ_COST)


async def test_a_head_of_many_lines_waits_where_the_turn_has_no_time_left() -> None:
    first = busy(limit=65536)
    second = Talk(limit=65536, turns=first.turns)
    head = b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 900
    first.feed(head)  # takes all the time of its turn
    second.feed(head)
    assert first.wire.reading
    assert not second.wire.reading
    await asyncio.sleep(0)
    assert second.wire.reading


async def test_of_many_that_are_given_up_amid_an_answer_few_are_closed_in_one_turn() -> None:
    line = timeless()
    talks = [Talk(turns=line) for _ in range(40)]
    for talk in talks:
        talk.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        talk.connection.abort()
        assert talk.wire.aborted or not talk.wire.reading
    most = math.ceil(ROUND / CLOSE_COST)
    assert sum(talk.wire.aborted for talk in talks) == most  # at once
    assert await most_in_a_turn(lambda: sum(talk.wire.aborted for talk in talks), 40) <= most


async def test_one_that_is_lost_before_it_was_closed_is_closed_no_more() -> None:
    talk = Talk()
    talk.turns.charge(ROUND)
    talk.feed(b"no answer")
    assert talk.seen.kind is Kind.UPSTREAM_PROTOCOL
    assert not talk.wire.aborted
    talk.leave(ConnectionResetError())
    await asyncio.sleep(0)
    assert not talk.wire.aborted
    assert talk.lost == 1


async def test_a_stop_closes_all_at_once() -> None:
    """The loop may end before there is another turn."""
    line = timeless()
    talks = [Talk(turns=line) for _ in range(40)]
    for talk in talks:
        talk.connection.close()
    assert all(talk.wire.aborted for talk in talks)
    assert {talk.seen.kind for talk in talks} == {Kind.UPSTREAM_CLOSED}
