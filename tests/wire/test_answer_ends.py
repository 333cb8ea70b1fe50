"""Bytes behind an answer, and endless bytes besides its content: the verdict is the same however they are cut."""

from dataclasses import dataclass, field

import pytest

from answers import LIMIT
from limen.errors import Kind
from talk import RecordedAnswer, Talk

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = {
    "204": (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    "304": (b"GET", b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n"),
    "HEAD": (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
    "HEAD, chunked": (b"HEAD", CHUNKED),
    "a length": (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
    "a length, ends with a line end": (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok\r\n"),
    "no length": (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    "chunked": (b"GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\n"),
    "chunked, trailers": (b"GET", CHUNKED + b"2\r\nok\r\n0\r\nx: y\r\n\r\n"),
    "behind an interim answer": (b"GET", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
}


def cuts(data: bytes) -> list[list[bytes]]:
    two = [[data[:at], data[at:]] for at in range(1, len(data))]
    return [[data], [data[at : at + 1] for at in range(len(data))], *two]


@pytest.mark.parametrize(
    "behind", [b"", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\nHTTP/1.1 200 OK\r\n", b"A", b"A;x", b"0\r\n\r\n", b"HTTP"]
)
@pytest.mark.parametrize(("method", "answer"), WHOLE.values(), ids=WHOLE)
def test_bytes_behind_an_answer_end_the_connection(method: bytes, answer: bytes, behind: bytes) -> None:
    for parts in cuts(answer + behind):
        talk = Talk(method)
        talk.feed(*parts)
        assert (talk.seen.ended, talk.seen.kind) == (True, None)
        assert talk.connection.reusable is (behind == b"")
        assert talk.wire.aborted is (behind != b"")


def test_content_that_ends_with_a_line_end_comes_in_one_piece() -> None:
    @dataclass
    class Counting(RecordedAnswer):
        pieces: list[bytes] = field(default_factory=list[bytes])

        def body(self, data: bytes) -> None:
            super().body(data)
            self.pieces.append(data)

    talk = Talk()
    seen = Counting()
    talk.connection.start(seen, b"GET", b"request", whole=True)
    talk.feed(WHOLE["a length, ends with a line end"][1])
    assert (seen.pieces, seen.ended) == ([b"ok\r\n"], True)


@pytest.mark.parametrize("first", [b"\r\n", b"\n", b"\r"])
def test_an_answer_does_not_begin_with_an_empty_line(first: bytes) -> None:
    for parts in cuts(first + WHOLE["a length"][1]):
        talk = Talk()
        talk.feed(*parts)
        assert (talk.seen.status, talk.seen.kind) == (0, Kind.UPSTREAM_PROTOCOL)


def test_an_empty_line_that_was_on_its_way_is_no_answer_at_all() -> None:
    """It belongs to the answer before: the request may be sent again, elsewhere, where that is safe."""
    talk = Talk()
    talk.feed(WHOLE["a length"][1])
    talk.begin()
    talk.feed(b"\r\n" + WHOLE["a length"][1])
    assert (talk.seen.kind, talk.connection.answering) == (Kind.UPSTREAM_CLOSED, False)
    assert talk.wire.aborted


ENDLESS = {
    "an extension": (b"2;", b"x" * 50),
    "extensions": (b"", b"1;" + b"x" * 198 + b"\r\n.\r\n"),
    "the size": (b"", b"0" * 50),
    "trailers": (b"2\r\nok\r\n0\r\n", b"x: " + b"y" * 95 + b"\r\n"),
    "one trailer": (b"2\r\nok\r\n0\r\nx: ", b"y" * 50),
}


@pytest.mark.parametrize(("first", "then"), ENDLESS.values(), ids=ENDLESS)
def test_bytes_of_an_answer_besides_content_are_bounded(first: bytes, then: bytes) -> None:
    talk = Talk()
    talk.feed(CHUNKED + first)
    fed = 0
    while talk.seen.kind is None and fed < 3 * LIMIT:
        talk.feed(then)
        fed += len(then)
    assert (talk.seen.ended, talk.seen.kind) == (False, Kind.UPSTREAM_PROTOCOL)
    assert talk.wire.aborted
    assert fed < 2 * LIMIT


MUCH = LIMIT + 100
AT_ONCE = {
    "an extension": CHUNKED + b"2;" + b"x" * MUCH + b"\r\nok\r\n0\r\n\r\n",
    "that of the last chunk": CHUNKED + b"2\r\nok\r\n0;" + b"x" * MUCH + b"\r\n\r\n",
    "trailers": CHUNKED + b"2\r\nok\r\n0\r\n" + b"x: y\r\n" * (LIMIT // 32) + b"\r\n",
    "one trailer": CHUNKED + b"2\r\nok\r\n0\r\nx: " + b"y" * MUCH + b"\r\n\r\n",
    "an interim head": b"HTTP/1.1 103 Early Hints\r\nlink: " + b"y" * MUCH + b"\r\n\r\n" + WHOLE["a length"][1],
    "behind an interim head": b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + b"2;" + b"x" * MUCH + b"\r\nok\r\n0\r\n\r\n",
    "a head": b"HTTP/1.1 200 OK\r\nx: " + b"y" * MUCH + b"\r\ncontent-length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("answer", AT_ONCE.values(), ids=AT_ONCE)
def test_bytes_besides_content_are_bounded_in_one_read_too(answer: bytes) -> None:
    for first in (0, 1, 40, 500, len(answer) // 2, len(answer) - 3, len(answer) - 1):
        talk = Talk()
        # Not as a read, of which a long one is taken in pieces: the bound must not hang upon that.
        for part in filter(None, (answer[:first], answer[first:])):
            if not talk.wire.aborted:
                vars(type(talk.connection))["_parse"](talk.connection, part)
        assert (talk.seen.ended, talk.seen.kind) == (False, Kind.UPSTREAM_PROTOCOL), first
        assert talk.wire.aborted
        talk = Talk()
        talk.feed(*filter(None, (answer[:first], answer[first:])))
        assert (talk.seen.ended, talk.seen.kind) == (False, Kind.UPSTREAM_PROTOCOL), first


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_may_have_many_chunks(size: int) -> None:
    talk = Talk()
    talk.feed(CHUNKED)
    piece = b"%016x\r\n%b\r\n" % (size, b"." * size)
    for _ in range(10 * LIMIT // size):
        talk.feed(piece)
    talk.feed(b"0\r\n\r\n")
    assert talk.seen.ended
    assert talk.connection.reusable


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 199 Odd\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\ncontent-length: 2\r\n\r\nno",
        b"HTTP/1.1 103 Early Hints\r\ntransfer-encoding: x\r\n\r\n",
    ],
)
def test_an_interim_answer_with_content_is_a_fault(head: bytes) -> None:
    """Its content would reach the client before the answer's own."""
    for parts in cuts(head + WHOLE["a length"][1]):
        talk = Talk()
        talk.feed(*parts)
        assert (talk.seen.status, talk.seen.content, talk.seen.kind) == (0, b"", Kind.UPSTREAM_PROTOCOL)


def test_an_interim_answer_may_announce_no_content() -> None:
    for parts in cuts(b"HTTP/1.1 100 Continue\r\ncontent-length: 0\r\n\r\n" + WHOLE["a length"][1]):
        talk = Talk()
        talk.feed(*parts)
        assert (talk.seen.status, talk.seen.content, talk.seen.ended) == (200, b"ok", True)
        assert talk.connection.reusable
