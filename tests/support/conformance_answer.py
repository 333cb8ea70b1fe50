"""Answers as a strict client reads them: whatever RFC 9112 leaves no room for is a failed assertion, not a guess."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, get_args

from limen.errors import Kind, ProxyError
from limen.http.proxy_status import PROXY_ERRORS
from structured_fields import Member, Token, read_list


@dataclass(frozen=True)
class Answer:
    """One answer of the gateway. ``whole`` is false when the connection ended before it."""

    status: int
    lines: tuple[bytes, ...]
    body: bytes
    whole: bool

    def header(self, name: bytes) -> list[bytes]:
        """Return every value of ``name``."""
        pairs = (line.partition(b": ") for line in self.lines)
        return [value for found, _, value in pairs if found == name]

    def problem(self) -> dict[str, Any]:
        """Return the problem document; ``Proxy-Status``, where it is, says the same."""
        assert self.header(b"content-type") == [b"application/problem+json"], self
        found: dict[str, Any] = json.loads(self.body)
        assert found["status"] == self.status
        if said := self.header(b"proxy-status"):
            self._check_proxy_status(Kind[found["code"].upper()], read_list(*said)[-1])
        return found

    def _check_proxy_status(self, kind: Kind, said: Member) -> None:
        error = said.parameters.get("error")
        assert error is None or isinstance(error, Token), self
        if kind in (Kind.UPSTREAM_REFUSED, Kind.UPSTREAM_TLS):
            assert error in get_args(ProxyError), self  # the fault knows more than its kind
        else:
            assert error == PROXY_ERRORS.get(kind), self


async def read_answer(reader: asyncio.StreamReader, *, bodyless: bool) -> Answer:
    """Read one answer; ``bodyless`` is one to HEAD."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    version, code, *_ = first.split(b" ", 2)
    assert version == b"HTTP/1.1", head
    assert code.isdigit(), head
    assert len(code) == 3, head
    lowered = [line.split(b":")[0].lower() + b":" + line.partition(b":")[2] for line in lines]
    found = Answer(int(code), tuple(lowered), b"", whole=True)
    lengths, codings = found.header(b"content-length"), found.header(b"transfer-encoding")
    assert len(lengths) + len(codings) <= 1, f"two framings: {head!r}"
    if found.status < 200 or found.status == 204:
        assert not lengths, f"no content, and yet a framing (RFC 9110 section 8.6): {head!r}"
        assert not codings, f"no content, and yet a framing (RFC 9112 section 6.1): {head!r}"
    if bodyless or found.status < 200 or found.status in (204, 304):
        return found
    if codings:
        assert codings == [b"chunked"], head
        body, whole = await _chunks(reader)
    elif lengths:
        body, whole = await _sized(reader, int(lengths[0]))
    else:
        assert found.header(b"connection") == [b"close"], f"no framing, and the connection is kept: {head!r}"
        body, whole = await reader.read(), True
    return Answer(found.status, found.lines, body, whole)


async def _sized(reader: asyncio.StreamReader, length: int) -> tuple[bytes, bool]:
    try:
        return await reader.readexactly(length), True
    except asyncio.IncompleteReadError as error:
        return error.partial, False


async def _chunks(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    body = bytearray()
    while True:
        try:
            size = int((await reader.readuntil(b"\r\n")).rstrip(b"\r\n"), 16)
        except asyncio.IncompleteReadError:
            return bytes(body), False
        part, whole = await _sized(reader, size + 2)
        if not whole:
            return bytes(body + part), False
        assert part.endswith(b"\r\n"), f"a chunk without its end: {part[-20:]!r}"
        if not size:
            return bytes(body), True
        body += part[:-2]


async def read_content(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Return the content of a request with ``head``, as its framing says."""
    lines = [line.lower() for line in head.split(b"\r\n")]
    lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    chunked = b"transfer-encoding: chunked" in lines
    assert len(lengths) + chunked <= 1, f"two framings: {head!r}"
    body, whole = await _chunks(reader) if chunked else await _sized(reader, lengths[0] if lengths else 0)
    assert whole, f"the request's content was cut: {body!r}"
    return body
