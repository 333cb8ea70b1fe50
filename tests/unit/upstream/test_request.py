"""The request head: one canonical form, and nothing that could break out of its line."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.http.headers import Headers
from limen.upstream.request import LAST_CHUNK, chunk, framing, head


@pytest.mark.parametrize(
    ("method", "streamed", "length", "expected"),
    [
        (b"GET", False, None, b""),
        (b"DELETE", False, None, b""),
        (b"HEAD", False, 0, b""),
        (b"GET", False, 3, b"content-length: 3\r\n"),
        (b"POST", False, None, b"content-length: 0\r\n"),
        (b"PUT", False, 0, b"content-length: 0\r\n"),
        (b"PATCH", False, 3, b"content-length: 3\r\n"),
        (b"POST", True, 3, b"content-length: 3\r\n"),
        (b"POST", True, None, b"transfer-encoding: chunked\r\n"),
        (b"GET", True, None, b"transfer-encoding: chunked\r\n"),
        (b"GET", True, 0, b""),
    ],
)
def test_framing(method: bytes, streamed: bool, length: int | None, expected: bytes) -> None:
    assert framing(method, streamed=streamed, length=length) == expected


def test_heads() -> None:
    lines = [(b"x", b""), (b"x", b"\xff\t y")]
    assert head(b"GET", b"/a?b", b"a", lines, b"", b"") == b"GET /a?b HTTP/1.1\r\nhost: a\r\nx: \r\nx: \xff\t y\r\n\r\n"
    raw = head(b"PUT", b"/", b"a", [], b"via: 1.1 b\r\n", b"content-length: 1\r\n")
    assert raw == b"PUT / HTTP/1.1\r\nhost: a\r\nvia: 1.1 b\r\ncontent-length: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"", b"/"),
        (b"GET ", b"/"),
        (b"GE\r\nT", b"/"),
        (b"GET", b""),
        (b"GET", b"a"),
        (b"GET", b"http://evil/"),
        (b"GET", b"/a b"),
        (b"GET", b"/a\r\nx: y"),
        (b"GET", b"/a\n"),
        (b"GET", b"/\xc3\xa9"),
        (b"GET", b"/\0"),
    ],
)
def test_request_lines_that_could_be_two(method: bytes, target: bytes) -> None:
    with pytest.raises(ValueError, match="not a request line"):
        head(method, target, b"a", [], b"", b"")


@pytest.mark.parametrize(
    "line",
    [
        (b"", b"1"),
        (b"a b", b"1"),
        (b"a:", b"1"),
        (b"a\r\nb", b"1"),
        (b"\xff", b"1"),
        (b"a\n", b"1"),
        (b"a", b"1\r\nb: 2"),
        (b"a", b"1\n"),
        (b"a", b"1\r"),
        (b"a", b"\0"),
    ],
)
def test_header_lines_that_could_be_two(line: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="not a header line") as caught:
        head(b"GET", b"/", b"a", [line], b"", b"")
    # A value may be a credential: messages go to logs.
    assert "b: 2" not in str(caught.value)


@pytest.mark.parametrize("content", [b"a", b"x" * 15, b"x" * 16, b"\r\n0\r\n\r\n"])
def test_chunks_are_read_back_by_h11(content: bytes) -> None:
    raw = head(b"POST", b"/", b"a", [], b"", framing(b"POST", streamed=True, length=None))
    events = _read(raw + chunk(content) + LAST_CHUNK)
    assert b"".join(event.data for event in events if isinstance(event, h11.Data)) == content
    assert isinstance(events[-1], h11.EndOfMessage)


def _read(raw: bytes) -> list[h11.Event]:
    server = h11.Connection(h11.SERVER)
    server.receive_data(raw)
    events: list[h11.Event] = []
    while (event := server.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
        assert isinstance(event, h11.Event)
        events.append(event)
    return events


TEXT = st.binary(max_size=8) | st.sampled_from([b"x-a", b"a\r\nb", b"\r\n\r\n", b" "])


@given(
    st.sampled_from([b"GET", b"POST"]) | TEXT,
    TEXT.map(b"/".__add__) | TEXT,
    st.lists(st.tuples(TEXT, TEXT), max_size=4),
)
def test_whatever_is_written_is_one_head_with_just_those_lines(method: bytes, target: bytes, lines: Headers) -> None:
    try:
        raw = head(method, target, b"a", lines, b"", b"")
    except ValueError:
        return
    assert raw.count(b"\r\n\r\n") == 1
    assert raw.endswith(b"\r\n\r\n")
    assert raw.count(b"\n") == raw.count(b"\r") == len(lines) + 3
