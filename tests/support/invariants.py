"""What holds for any bytes whatsoever: the fuzz targets, one for each side of the gateway. An AssertionError is a bug.

``of_requests`` takes what a client sends, ``of_answers`` what a service says. A case is nothing but those bytes, so that the
corpus can be read; how they are cut follows from them.
"""

import re
import zlib
from collections.abc import Iterator

import h11

import strictness
from in_memory_gateway import InMemoryGateway, Run
from limen.upstream.connection import Connection
from strictness import Message
from talk import Talk

CASE = 16384
"""Bytes of a case that are played; more finds nothing that these do not."""

_IDENTITY = (b"request-user-id", b"request-user-role")
_EMPTY_LINE = re.compile(rb"\r\n\r\n[\r\n]")


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Return ``data`` whole, cut in three at places that depend on it, and, when it is short, byte by byte."""
    yield [data]
    if len(data) > 2:
        mark = zlib.crc32(data)
        first, second = sorted((1 + mark % (len(data) - 1), 1 + (mark >> 11) % (len(data) - 1)))
        yield [part for part in (data[:first], data[first:second], data[second:]) if part]
    if len(data) <= 600:
        yield [data[i : i + 1] for i in range(len(data))]


def of_requests(gateway: InMemoryGateway, data: bytes) -> list[list[Message]]:
    """Check everything that must hold whatever a client sends; return the whole requests that got through, for each cut."""
    data = gateway.filled(data[:CASE])
    through: list[list[Message]] = []
    for parts in cuts(data):
        run = gateway.run(parts)
        seen = check(run)
        through.append([one for one in seen if one.whole])
    if b"early" not in data and b"answer=" not in data:
        plain = [[(one.method, one.target, one.body) for one in one_way] for one_way in through]
        longest = max(plain, key=len)
        for one_way in plain:
            assert one_way == longest[: len(one_way)], f"how the bytes are cut changes what they mean: {plain}"
    return through


def check(run: Run) -> list[Message]:
    """Check one run; return every request that reached the service."""
    assert not run.violations, run.violations
    out = [one for connection in run.connections for one in strictness.requests(connection)]
    ids = [value for one in out for value in one.all(b"x-request-id")]
    assert len(ids) == len(out), "not one request id for each request"
    # One safe repetition is allowed where a reused connection was lost; it has the same id.
    fresh = [one for one in out if one.all(b"x-client-id") == []]
    assert len(fresh) <= 2 * len(run.heads), f"{len(run.heads)} requests in, {len(out)} out"
    for one in out:
        _check_identity(one)
    found = strictness.answers(run.answer, [method for method, _ in run.heads], closed=run.closed)
    assert len(found) <= len(run.heads) + 1, f"{len(run.heads)} requests, {len(found)} answers"
    for number, one in enumerate(found):
        ids = [value for name, value in one.headers if name == b"x-request-id"]
        assert ids or one.status != 400 or number >= run.read, (
            f"a refusal of what comes later overtook {run.read - number} answers"
        )
        target = run.heads[number][1].partition(b"#")[0] if number < len(run.heads) else b""
        for name, value in one.headers:
            if name == b"x-target" and target[:1] == b"/":
                assert value == target, f"the answer to {value!r} went to {target!r}"
    return out


def _check_identity(one: Message) -> None:
    guarded = one.target.startswith(b"/guarded/")
    for name, value in one.headers:
        plain = name.replace(b"_", b"-")
        assert plain != b"authorization", f"a credential passed: {one}"
        if plain in _IDENTITY:
            assert guarded, f"identity on a public route: {one}"
            assert name in _IDENTITY, f"another spelling of identity: {one}"
            assert value in (b"7", b"user"), f"somebody else's identity: {one}"
    if guarded:
        assert [one.all(name) for name in _IDENTITY] == [[b"7"], [b"user"]], f"not exactly one identity: {one}"


def of_answers(gateway: InMemoryGateway, data: bytes) -> None:
    """Check everything that must hold whatever a service says."""
    data = data[:CASE]
    for method in (b"GET", b"HEAD"):
        verdicts = [_heard(method, parts) for parts in cuts(data)]
        for verdict in verdicts:
            assert verdict == verdicts[0], f"how the bytes are cut changes what they mean: {verdicts}"
        status, _, content, ended, framed_whole = verdicts[0]
        if ended:
            _check_against_h11(method, data, status, content, reusable=framed_whole)
        client = method + b" /x HTTP/1.1\r\nhost: g\r\n\r\n"
        run = gateway.run([client], answer=data)
        check(run)
        found = strictness.answers(run.answer, [method], closed=run.closed)
        if run.answer.startswith(b"HTTP/1.1 2") and not ended:
            assert run.closed, "an answer that broke off left the connection open"
            assert not found or not found[-1].whole, f"an answer that broke off looks whole: {found}"


Verdict = tuple[int, tuple[tuple[bytes, bytes], ...], bytes, bool, bool]


def _heard(method: bytes, parts: list[bytes]) -> Verdict:
    """Feed one connection, let the service close, and return what the sink was told."""
    talk = Talk(method)
    talk.feed(*parts)
    reusable = talk.connection.reusable and not talk.wire.aborted
    assert not (reusable and not talk.seen.ended), "free before the answer has ended"
    idle: Connection = talk.connection
    talk.leave()
    seen = talk.seen
    assert seen.ended is (seen.kind is None), "neither an end nor a fault"
    assert not idle.reusable, "a lost connection can be used"
    # Of an answer that broke off, a cut decides how much of it was seen.
    if not seen.ended:
        return (0, (), b"", False, False)
    return (seen.status, tuple(seen.headers), seen.content, True, reusable)


def _check_against_h11(method: bytes, data: bytes, status: int, content: bytes, *, reusable: bool) -> None:
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "g")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    reader.receive_data(b"")
    body, found = b"", 0
    try:
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Response):
                found = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif not isinstance(event, h11.InformationalResponse):
                break
    except h11.RemoteProtocolError as error:
        if h11_is_narrower(data, str(error)):
            return
        raise AssertionError(f"h11 refuses what was taken as a whole answer: {error}") from error
    assert (found, body) == (status, content), f"h11 reads {found} {body!r}, and we {status} {content!r}"
    assert not (reusable and reader.trailing_data[0]), "bytes behind the answer, and the connection is kept"


def h11_is_narrower(data: bytes, error: str) -> bool:
    """Tell whether h11 refuses something that RFC 9112 lets a recipient take; each line says what."""
    return (
        # A control byte in a reason phrase or a value, which no line can break out of: h11 takes fewer than RFC 9112 names.
        "illegal status line" in error
        or "illegal header line" in error
        # Empty lines behind an interim answer, which the parser skips; before the first one they are refused.
        or ("no response line received" in error and _EMPTY_LINE.search(data) is not None)
        # What trailers say of framing: h11 judges it, we drop trailers (RFC 9110 section 6.5.1).
        or ("Transfer-Encoding" in error and b"0\r\n" in data.partition(b"\r\n\r\n")[2])
        or ("Content-Length" in error and b"0\r\n" in data.partition(b"\r\n\r\n")[2])
    )
