"""The framing of an answer whose header values have white space at the end."""

import pytest

from limen.upstream.answer_rules import check, framing_count


@pytest.mark.parametrize("blank", [b"", b" ", b"\t", b" \t"])
def test_a_length_is_what_it_is_without_it(blank: bytes) -> None:
    assert framing_count([(b"content-length", b"3" + blank)]) == 1
    assert check(103, "1.1", [(b"content-length", b"0" + blank)]) is None
    assert check(103, "1.1", [(b"content-length", b"10" + blank)]) == "an interim answer with content"


@pytest.mark.parametrize(
    ("value", "count"), [(b"chunked", 1), (b"Chunked  ", 1), (b"chunked\t", 2), (b"chunked \t", 2)]
)
def test_a_coding_is_chunked_where_the_parser_takes_it_for_that(value: bytes, count: int) -> None:
    assert framing_count([(b"transfer-encoding", value)]) == count
