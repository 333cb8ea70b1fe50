"""Fetching a JSON document for the gateway itself, with the same client and pools as everything else.

It is strict, because the document decides whose tokens are accepted: status 200 only, no redirects, plain JSON, bounded.
Some providers keep their keys as files, and call them text: where that is allowed, the content is read as strictly.
"""

import asyncio

from limen.errors import Kind
from limen.http.headers import Headers, is_json, values
from limen.upstream.declared import Timeouts
from limen.upstream.error import UpstreamError
from limen.upstream.live import LiveUpstream
from limen.upstream.request_sender import UpstreamAnswer, send

KiB = 1024

_HEADERS: Headers = [(b"accept", b"application/json"), (b"accept-encoding", b"identity"), (b"user-agent", b"limen")]


class NotFetchedError(Exception):
    """The document could not be fetched; the message says why, for a log. ``status`` is 0 where there was no answer."""

    def __init__(self, cause: str, status: int = 0) -> None:
        """Keep both."""
        super().__init__(cause)
        self.status = status


async def fetch(
    upstream: LiveUpstream, target: bytes, *, timeouts: Timeouts, limit: int = 256 * KiB, plain_text: bool = False
) -> bytes:
    """GET ``target`` of ``upstream`` and return its content, at most ``limit`` bytes.

    It must be called JSON; with ``plain_text``, it may also be called ``text/plain`` or ``application/octet-stream``.
    A reused connection that closes before it answers is replaced by another. Raises NotFetchedError.
    """
    try:
        answer = await _ask(upstream, target, timeouts)
        try:
            if answer.status != 200:
                hint = "; redirects are not followed" if 300 <= answer.status < 400 else ""
                raise NotFetchedError(f"the answer is {answer.status}, and not 200{hint}", answer.status)
            # RFC 9110 section 8.4.1: "identity" is no coding, and yet some write it.
            if any(value.strip().lower() != b"identity" for value in values(answer.headers, b"content-encoding")):
                raise NotFetchedError("the answer is encoded although identity was asked for", answer.status)
            kinds = values(answer.headers, b"content-type")
            if len(kinds) != 1 or not (is_json(kinds[0]) or (plain_text and _is_file(kinds[0]))):
                raise NotFetchedError("the answer's content-type is not JSON", answer.status)
            return await answer.read(limit)
        finally:
            await answer.aclose()
    except UpstreamError as error:
        raise NotFetchedError(str(error)) from None


def _is_file(kind: bytes) -> bool:
    return kind.partition(b";")[0].strip().lower() in (
        b"text/plain",
        b"application/octet-stream",
        b"binary/octet-stream",
    )


async def _ask(upstream: LiveUpstream, target: bytes, timeouts: Timeouts) -> UpstreamAnswer:
    now = asyncio.get_running_loop().time
    until = None if timeouts.connect is None else now() + timeouts.connect
    while True:
        left = None if until is None else max(0.0, until - now())
        pool, connection = await upstream.connect(left)
        try:
            return await send(
                pool,
                connection,
                method=b"GET",
                target=target,
                headers=_HEADERS,
                body=None,
                length=None,
                timeouts=timeouts,
            )
        except UpstreamError as error:
            if not error.reused or error.answered or error.fault.kind is not Kind.UPSTREAM_CLOSED:
                raise
