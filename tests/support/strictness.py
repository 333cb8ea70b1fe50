"""Messages read as strictly as RFC 9112 allows, and once more by h11: what the gateway writes must pass both.

``requests`` reads what a service got, ``answers`` what a client got. A ``Loose`` message is a bug of the gateway.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import h11

_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ /[\x21-\x7e]* HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9a-z]+): ?([^\x00-\x08\x0a-\x1f\x7f]*)")
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}\r\n")


class Loose(AssertionError):
    """A message that two readers could read differently."""


@dataclass(frozen=True)
class Message:
    """One request as a service reads it; ``whole`` says whether it has come to its end."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    whole: bool

    def all(self, name: bytes) -> list[bytes]:
        """Return every value of ``name``."""
        return [value for key, value in self.headers if key == name]


def requests(data: bytes) -> list[Message]:
    """Return the requests in ``data``, the last of which may be cut; raises Loose, also where h11 sees others."""
    found: list[Message] = []
    rest = data
    while rest:
        if found and not found[-1].whole:
            raise Loose(f"bytes behind a request that has not ended: {rest[:80]!r}")
        head, end, rest = rest.partition(b"\r\n\r\n")
        if not end:
            raise Loose(f"a head was not written whole: {head[:200]!r}")
        message, rest = _request(head, rest)
        found.append(message)
    seen = _by_h11(data)
    ours = [(one.method, one.target, one.body, one.whole) for one in found]
    if seen != ours:
        raise Loose(f"h11 reads {seen}, and we {ours}")
    return found


def _request(head: bytes, rest: bytes) -> tuple[Message, bytes]:
    first, *lines = head.split(b"\r\n")
    if not _LINE.fullmatch(first):
        raise Loose(f"not a request line: {first!r}")
    fields: list[tuple[bytes, bytes]] = []
    for line in lines:
        if (match := _FIELD.fullmatch(line)) is None:
            raise Loose(f"not a header line: {line!r}")
        fields.append((match[1], match[2]))
    method, target, _ = first.split(b" ")
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1 or codings not in ([], [b"chunked"]):
        raise Loose(f"ambiguous framing: {fields}")
    if len([1 for name, _ in fields if name == b"host"]) != 1:
        raise Loose(f"not one Host: {fields}")
    if codings:
        body, rest, whole = _chunks(rest)
    else:
        size = int(lengths[0]) if lengths else 0
        body, rest, whole = rest[:size], rest[size:], len(rest) >= size
    return Message(method, target, tuple(fields), body, whole), rest


def _chunks(rest: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while rest:
        if (match := _SIZE.match(rest)) is None:
            raise Loose(f"not a chunk: {rest[:40]!r}")
        size = int(match[0], 16)
        start = match.end()
        piece, end = rest[start : start + size], rest[start + size : start + size + 2]
        if len(piece) == size and end != b"\r\n":
            raise Loose(f"a chunk of {size} bytes ends with {end!r}")
        body += piece
        if not size or len(end) < 2:
            return body, rest[start + size + 2 :], not size
        rest = rest[start + size + 2 :]
    return body, b"", False


def _by_h11(data: bytes) -> list[tuple[bytes, bytes, bytes, bool]]:
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reader.receive_data(data)
    found: list[tuple[bytes, bytes, bytes, bool]] = []
    try:
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Request):
                found.append((event.method, event.target, b"", False))
            elif isinstance(event, h11.Data):
                method, target, body, _ = found[-1]
                found[-1] = (method, target, body + bytes(event.data), False)
            elif isinstance(event, h11.EndOfMessage):
                found[-1] = (*found[-1][:3], True)
                answer(reader)
                reader.start_next_cycle()
            else:
                return found
    except h11.RemoteProtocolError as error:
        raise Loose(f"h11 refuses what the service got: {error}") from error
    except h11.LocalProtocolError:
        return found  # the request was the last of its connection


def answer(reader: h11.Connection) -> None:
    """Let an h11 server have answered, so that it reads on."""
    if reader.our_state is h11.SEND_RESPONSE or reader.our_state is h11.SEND_BODY:
        reader.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        reader.send(h11.EndOfMessage())


@dataclass(frozen=True)
class Answer:
    """One final answer as a client reads it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    whole: bool


def answers(data: bytes, methods: Sequence[bytes], *, closed: bool) -> list[Answer]:
    """Return the answers in ``data``, to requests of ``methods`` in this order; ``closed`` says that nothing follows.

    Raises Loose for what h11 refuses, for bytes behind the last answer, and for heads that h11 would forgive.
    """
    reader: Any = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    reader.receive_data(data)
    if closed:
        reader.receive_data(b"")
    found: list[Answer] = []
    try:
        for method in (*methods, b"GET", b"GET"):
            if reader.trailing_data[0] == b"":
                break
            # What h11 knows of CONNECT is what happens when it succeeds; here it never may.
            reader.send(
                h11.Request(method=b"GET" if method == b"CONNECT" else method, target="/", headers=[("host", "g")])
            )
            reader.send(h11.EndOfMessage())
            one = _answer(reader)
            if one is not None:
                if method == b"CONNECT" and 200 <= one.status < 300:
                    raise Loose("CONNECT was granted")
                found.append(one)
            if one is None or not one.whole:
                return found
            if reader.their_state is not h11.DONE:
                break
            reader.start_next_cycle()
    except h11.RemoteProtocolError as error:
        if (closed and "peer unexpectedly closed" in str(error)) or "without sending complete" in str(error):
            return found
        raise Loose(f"h11 refuses what the client got: {error}; {data[:400]!r}") from error
    rest = reader.trailing_data[0]
    if rest:
        raise Loose(f"bytes behind the last answer: {rest[:80]!r}")
    return found


def _answer(reader: Any) -> Answer | None:
    head: Any = None
    body = b""
    while True:
        try:
            event = reader.next_event()
        except h11.RemoteProtocolError as error:
            if head is not None and "peer closed" in str(error):
                return Answer(head.status_code, tuple(head.headers), body, whole=False)
            raise
        if isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return Answer(head.status_code, tuple(head.headers), body, whole=True)
        elif isinstance(event, h11.InformationalResponse):
            continue
        else:
            return None if head is None else Answer(head.status_code, tuple(head.headers), body, whole=False)


def canonical(headers: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Return header lines as they compare: lower-case names, outer blanks gone, those ``dropped`` left out."""
    lines = ((bytes(name).lower(), bytes(value).strip(b" \t")) for name, value in headers)
    return tuple((name, value) for name, value in lines if name not in dropped)
