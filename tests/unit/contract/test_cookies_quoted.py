"""The value of a cookie in quotes is what Python reads, and so FastAPI's services, without the square of the time."""

from http.cookies import SimpleCookie

from hypothesis import example, given
from hypothesis import strategies as st

from limen.contract.request_check import _unquoted  # pyright: ignore[reportPrivateUsage]


@given(st.text('\\"012347;= ab', max_size=12))
@example('"\\')
@example('"\\\\""')
@example('"\\073\\0"')
def test_it_is_what_python_reads(value: str) -> None:
    assert _unquoted(value) == SimpleCookie().value_decode(value)[0]


def test_a_value_of_escapes_alone_is_read_in_one_go() -> None:
    assert _unquoted('"' + '\\"' * 16_000 + '"') == '"' * 16_000
