"""What bounds the part of an answer that is not content."""

import pytest

from limen.upstream.answer_meter import AnswerMeter

LIMIT = 640


def test_a_head_has_as_many_bytes_as_its_lines() -> None:
    meter = AnswerMeter(LIMIT)
    meter.add_line(b"n" * 10, b"v" * (LIMIT - 17 - 14))
    assert not meter.head_is_too_long()
    meter.add_reason(1)
    assert meter.head_is_too_long()


def test_short_lines_are_bounded_by_their_number() -> None:
    meter = AnswerMeter(LIMIT)
    assert [meter.add_line(b"n", b"v") for _ in range(11)] == [True] * 10 + [False]


@pytest.mark.parametrize(("chunks", "padded"), [(0, True), (1, False)])
def test_what_is_neither_head_nor_content_nor_framing_is_bounded(chunks: int, padded: bool) -> None:
    meter = AnswerMeter(LIMIT)
    meter.read = 17 + 1000 + LIMIT + 1
    meter.content = 1000
    meter.chunks = chunks
    assert meter.is_padded() is padded


def test_a_trailer_costs_more_than_its_bytes() -> None:
    meter = AnswerMeter(LIMIT)
    meter.read = 17
    for _ in range(LIMIT // 32):
        meter.add_trailer()
    assert not meter.is_padded()
    meter.add_trailer()
    assert meter.is_padded()


def test_interim_answers_are_bounded_in_number_for_each_exchange() -> None:
    meter = AnswerMeter(LIMIT)
    for _ in range(2):
        assert all(meter.begin_again() for _ in range(16))
        assert not meter.begin_again()
        meter.begin()


def test_what_came_with_an_interim_head_counts_for_the_next() -> None:
    meter = AnswerMeter(LIMIT)
    meter.read = 17 + 100
    meter.begin_again()
    assert meter.read == 100
