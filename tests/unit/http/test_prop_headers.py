"""Whatever header lines come in: those that go out are complete, single where they must be, and none is forged.

What httptools refuses never gets here; it is asked first, and h11 reads what comes out.
"""

from collections.abc import Callable

import h11
import httptools
from hypothesis import given
from hypothesis import strategies as st

from answers import LIMIT
from limen.engines.direct.answer_writer import head_bytes
from limen.exchange.answer import Answer
from limen.http.headers import HOP_BY_HOP, Headers, block, nominated, to_client, to_upstream
from limen.upstream import request
from talk import Talk

IDENTITY = ((b"request-user-id", b"7"), (b"request-user-role", b"user"))
OWN = [
    (b"via", b"1.1 limen"),
    (b"x-forwarded-proto", b"http"),
    (b"x-request-id", b"r-1"),
    (b"x-forwarded-for", b"192.0.2.1"),
    (b"x-forwarded-host", b"g"),
    *IDENTITY,
]
STRIP = frozenset((b"authorization", b"request-user-id", b"request-user-role"))
KNOWN = (
    *sorted(HOP_BY_HOP),
    *sorted(STRIP),
    *(name for name, _ in OWN),
    b"request_user_id",
    b"REQUEST-USER_ID",
    b"forwarded",
    b"x-real-ip",
    b"cookie",
    b"host",
    b"expect",
    b"accept",
    b"set-cookie",
    b"date",
    b"server",
    b"x-a",
)
LINE_ENDS = st.sampled_from(
    (b"\r\n", b"\n", b"\r", b"\0", b"\r\n ", b"\r\nx-request-id: forged\r\n", b"%0d%0a", b"\x0b", b"\x85")
)
RAW_NAMES = st.one_of(
    st.sampled_from(KNOWN),
    st.sampled_from(KNOWN).map(bytes.upper),
    st.sampled_from(KNOWN).map(bytes.title),
    st.sampled_from(KNOWN).map(lambda name: name.replace(b"-", b"_")),
    st.binary(min_size=1, max_size=8),
)
RAW_VALUES = st.one_of(
    st.sampled_from((b"", b"1", b"close", b"keep-alive", b"chunked", b"1.2.3.4", b"gzip")),
    st.lists(st.sampled_from(KNOWN), max_size=4).map(b", ".join),
    st.binary(max_size=12),
    st.tuples(st.binary(max_size=4), LINE_ENDS, st.binary(max_size=6)).map(b"".join),
)
SOUP = st.lists(st.tuples(RAW_NAMES, RAW_VALUES), max_size=12)


class Parsed:
    """The lines of a head as httptools reads them."""

    def __init__(self) -> None:
        self.lines: Headers = []
        self.done = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one, with its name in small letters."""
        if not self.done:
            self.lines.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Count heads: there must be one."""
        self.done += 1


def parsed(soup: Headers) -> Headers | None:
    """Return what a client's soup is read as; None when it is refused."""
    found = Parsed()
    data = (
        b"GET /x HTTP/1.1\r\nhost: g\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in soup) + b"\r\n"
    )
    try:
        httptools.HttpRequestParser(found).feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    return found.lines if found.done == 1 else None


def by_h11(head: bytes) -> Headers:
    """Return the lines of a request head as h11 reads them."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(head)
    event = reader.next_event()
    assert isinstance(event, h11.Request), event
    assert isinstance(reader.next_event(), h11.EndOfMessage)
    assert not reader.trailing_data[0]
    return [(bytes(name), bytes(value)) for name, value in event.headers]


def by_lines(head: bytes) -> Headers:
    """Return the lines of a request head as the most lenient reader does; h11 minds control characters."""
    pairs = (line.partition(b": ") for line in head.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:])
    return [(name, value) for name, _, value in pairs]


def check_upstream(client: Headers, reader: Callable[[bytes], Headers]) -> None:
    """Check what the service gets of ``client``."""
    lines = to_upstream(client, strip=STRIP)
    try:
        head = request.head(b"GET", b"/x", b"svc", lines, block(OWN), b"")
    except ValueError:
        return
    assert head.count(b"\r\n") == head.count(b"\r") == head.count(b"\n") == len(lines) + len(OWN) + 3
    assert b"\0" not in head
    got = reader(head)
    names = [name for name, _ in got]
    assert not HOP_BY_HOP & set(names)
    for name, value in ((b"host", b"svc"), *OWN):
        found = [v for n, v in got if n == name]
        # Via grows with each hop; ours is the last.
        assert found[-1] == value, name
        assert len(found) == 1 or name == b"via", name
    assert not (nominated(client) - {n for n, _ in OWN} - {b"host"}) & set(names)
    assert not any(b"_" in name or name in (b"authorization", b"forwarded", b"x-real-ip", b"expect") for name in names)


@given(SOUP)
def test_what_reaches_a_service(soup: Headers) -> None:
    client = parsed(soup)
    if client is not None:
        check_upstream(client, by_h11)


@given(SOUP)
def test_what_reaches_a_service_even_past_a_parser_that_lets_all_pass(soup: Headers) -> None:
    check_upstream([(name.lower(), value) for name, value in soup], by_lines)


@given(SOUP, st.sampled_from((200, 204, 304, 404, 500)))
def test_what_reaches_a_client(soup: Headers, status: int) -> None:
    """Response splitting: no answer of a service makes a line that it has not written as one."""
    talk = Talk()
    raw = b"".join(name + b": " + value + b"\r\n" for name, value in soup)
    talk.feed(b"HTTP/1.1 %d X\r\n" % status + raw + b"\r\n")
    if talk.seen.status != status:
        return
    assert len(raw) < LIMIT
    bodyless = status in (204, 304)
    lines = [*to_client(talk.seen.headers, bodyless=bodyless), (b"x-request-id", b"r-1")]
    dates = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
    answer = Answer(status, lines, None, "upstream")
    head, chunked, kept = head_bytes(answer, dates, keep_alive=True, bodyless=bodyless, chunks=True)
    assert kept
    first, *found = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % status)
    wanted = [name + b": " + value for name, value in (*dates, *lines)]
    assert found == wanted + ([b"transfer-encoding: chunked"] if chunked else [])
    assert b"\r" not in b"".join(found)
    assert b"\n" not in b"".join(found)
    assert b"\0" not in head
    names = [line.partition(b":")[0] for line in found]
    assert not (HOP_BY_HOP - {b"transfer-encoding"}) & set(names)
    assert names.count(b"date") == names.count(b"x-request-id") == 1
    assert b"server" not in names
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
