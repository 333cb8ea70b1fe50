"""Untrusted text in a line of the log is escaped and bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.observe.escape import escaped, quoted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a/b-c_d~e;f=g%20", "/a/b-c_d~e;f=g%20"),
        ("", ""),
        ("a b", "a\\x20b"),
        ("a\nb\r\tc\x00\x1b[31m\x7f", "a\\nb\\r\\tc\\x00\\x1b[31m\\x7f"),
        ("\x9b\x85", "\\x9b\\x85"),
        ("\u2028 \U0001f600", "\\u2028\\x20\\U0001f600"),
        ("\ud800", "\\ud800"),
        ("\\n", "\\\\n"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 37 + "..."),
        (" " * 11, "\\x20" * 9 + "\\" + "..."),
    ],
)
def test_escaped(text: str, shown: str) -> None:
    assert escaped(text, 40) == shown


@given(st.text(), st.integers(8, 64))
def test_one_word_of_visible_ascii_no_longer_than_allowed(text: str, most: int) -> None:
    shown = escaped(text, most)
    assert len(shown) <= most
    assert all("!" <= character <= "~" for character in shown)
    cause = quoted(text, most)
    assert len(cause) <= most + 2
    assert cause.isascii()
    assert cause.isprintable()
