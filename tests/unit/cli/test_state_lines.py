"""The messages about targets: what is read as one, and what is ignored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.cli.state_lines import (
    LONGEST_LINE,
    MOST_STATES,
    ChecksMessage,
    Key,
    Lines,
    StateMessage,
    Value,
    decode,
    encode_checks,
    encode_state,
    keep,
)

KEY: Key = ("orders", "http://orders-1:8000", "drain")


def test_what_is_written_is_read() -> None:
    for to_worker in (True, False):
        line = encode_state(7, KEY, {"since": 1.5}, to_worker=to_worker)
        assert line.endswith(b"\n")
        assert decode(line, from_worker=not to_worker) == StateMessage(7, KEY, {"since": 1.5})
        assert decode(line, from_worker=to_worker) is None  # it has the other number
    assert decode(encode_checks(mine=True), from_worker=False) == ChecksMessage(True)
    assert decode(encode_checks(mine=True), from_worker=True) is None  # no worker says who checks


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"no json",
        b"[" * 4000,
        b"[]",
        b"1",
        b'{"v":2,"checks":true}',
        b'{"checks":true}',
        b'{"v":1}',
        b'{"v":1,"checks":1}',
        b'{"v":1,"later":{"a":1}}',
        b'{"v":1,"seen":"7","upstream":"a","target":"b","aspect":"c","value":{}}',
        b'{"v":1,"seen":7,"upstream":"a","target":"b","aspect":"c","value":[]}',
        b'{"v":1,"seen":7,"upstream":1,"target":"b","aspect":"c","value":{}}',
        b'{"v":1,"seen":7,"target":"b","aspect":"c","value":{}}',
    ],
)
def test_what_is_not_understood_is_ignored(line: bytes) -> None:
    assert decode(line, from_worker=False) is None


def test_more_fields_of_a_later_version_are_no_harm() -> None:
    line = {"v": 1, "seen": 1, "upstream": "a", "target": "b", "aspect": "c", "value": {"x": 1}, "more": [1]}
    assert decode(json.dumps(line).encode(), from_worker=False) == StateMessage(1, ("a", "b", "c"), {"x": 1})


def test_a_state_that_is_too_long_is_not_written() -> None:
    assert encode_state(1, ("a", "x" * LONGEST_LINE, "drain"), {}, to_worker=False) == b""


@given(st.lists(st.binary(max_size=50).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader, found = Lines(), list[bytes]()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += reader.feed(stream[:size])
        stream = stream[size:]
    assert found == lines


def test_a_line_that_is_too_long_is_skipped_and_takes_no_memory() -> None:
    reader = Lines()
    assert list(reader.feed(b"a\n" + b"x" * LONGEST_LINE)) == [b"a"]
    for _ in range(100):
        assert list(reader.feed(b"x" * 65536)) == []
    assert list(reader.feed(b"x\nb\n")) == [b"b"]
    assert list(reader.feed(b"y" * LONGEST_LINE + b"\nc\n")) == [b"c"]


def test_the_state_that_was_told_longest_ago_goes() -> None:
    states: dict[Key, Value] = {}
    for number in range(MOST_STATES):
        keep(states, ("a", str(number), "drain"), {"since": 0})
    keep(states, ("a", "0", "drain"), {"since": 1})
    keep(states, ("a", "new", "drain"), {"since": 0})
    assert len(states) == MOST_STATES
    assert ("a", "0", "drain") in states
    assert ("a", "1", "drain") not in states
