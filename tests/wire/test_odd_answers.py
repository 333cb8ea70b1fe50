"""Answers that parse and yet are none, or whose connection cannot be trusted any further."""

import pytest

from limen.errors import Kind
from talk import Talk


@pytest.mark.parametrize("status", [b"000", b"099", b"600", b"999"])
def test_an_invalid_status_is_a_fault(status: bytes) -> None:
    talk = Talk()
    talk.feed(b"HTTP/1.1 " + status + b" What\r\ncontent-length: 0\r\n\r\n")
    assert (talk.seen.status, talk.seen.ended, talk.seen.kind) == (0, False, Kind.UPSTREAM_PROTOCOL)
    assert not talk.connection.reusable


def test_chunks_of_http_1_0_end_with_the_connection() -> None:
    talk = Talk()
    talk.feed(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    assert (talk.seen.content, talk.seen.ended) == (b"ok", True)
    assert not talk.connection.reusable
