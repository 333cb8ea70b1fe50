"""``Max-Forwards`` as a number: read, decremented, and left alone where it is none."""

import pytest

from limen.http.headers import Head
from limen.http.max_forwards import decremented, exhausted


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], False),
        ([b"0"], True),
        ([b"00"], True),
        ([b"1"], False),
        ([b""], False),
        ([b"-0"], False),
        ([b"0", b"0"], False),
        ([b"0, 0"], False),
        ([b"x"], False),
    ],
)
def test_none_are_left(values: list[bytes], expected: bool) -> None:
    assert exhausted(Head([(b"host", b"g"), *((b"max-forwards", value) for value in values)])) is expected


@pytest.mark.parametrize(
    ("value", "less"),
    [
        (b"1", b"0"),
        (b"10", b"9"),
        (b"007", b"6"),
        (b"0", b"0"),
        (b"1" * 5000, b"111111110"),
        (b"", b""),
        (b"+1", b"+1"),
        (b"1.5", b"1.5"),
        (b"\xb2", b"\xb2"),
    ],
)
def test_one_less_is_left(value: bytes, less: bytes) -> None:
    lines = [(b"x", value), (b"max-forwards", value)]
    assert decremented(lines) == [(b"x", value), (b"max-forwards", less)]
