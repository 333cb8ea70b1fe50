"""How an answer is written to the client, framed as RFC 9112 section 6 says."""

from collections.abc import Iterable
from typing import Final, final

from limen.engines.direct.downstream import Downstream
from limen.exchange.answer import Answer
from limen.exchange.answer_filters import AnswerFilters
from limen.http.headers import Headers
from limen.http.status import status_line

_LAST_CHUNK: Final = b"0\r\n\r\n"


@final
class AnswerWriter:
    """One answer whose content comes piece by piece. Its head waits for the first piece, to be written with it.

    ``keep_alive`` says whether the connection may go on behind it.
    """

    __slots__ = ("_chunked", "_downstream", "_filters", "_head", "keep_alive")

    def __init__(
        self,
        downstream: Downstream,
        answer: Answer,
        filters: AnswerFilters | None,
        defaults: Headers,
        *,
        keep_alive: bool,
        bodyless: bool,
        chunks: bool,
    ) -> None:
        """Begin; ``defaults`` are lines that every answer has.

        ``bodyless`` answers HEAD; ``chunks`` says whether the client understands chunked content. Without a length, and
        without chunks, content ends with the connection.
        """
        self._downstream = downstream
        self._filters = filters
        status = answer.status
        self._head, self._chunked, self.keep_alive = head_bytes(
            answer,
            defaults,
            keep_alive=keep_alive,
            bodyless=bodyless or status == 204 or status == 304,
            chunks=chunks,
        )

    def write(self, data: bytes) -> None:
        """Write a piece of content."""
        if self._filters is not None:
            data = self._filters.feed(data)
            if not data:
                return
        self._put(data)

    def flush(self) -> None:
        """Nothing more has come for now: keep nothing back."""
        if self._filters is not None:
            data = self._filters.flush()
            if data:
                self._put(data)
        if self._head:
            self._downstream.write(self._head)
            self._head = b""

    def end(self) -> None:
        """The content is whole."""
        if self._filters is not None:
            data = self._filters.end()
            if data:
                self._put(data)
        last = self._head + _LAST_CHUNK if self._chunked else self._head
        if last:
            self._downstream.write(last)
            self._head = b""

    def head_is_held(self) -> bool:
        """Tell whether nothing of the answer is out."""
        return bool(self._head)

    def begun(self) -> None:
        """The content will not become whole; but the answer has begun, whether or not its head is out."""
        if self._head:
            self._downstream.write(self._head)
            self._head = b""

    def _put(self, data: bytes) -> None:
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if self._head:
            data = self._head + data
            self._head = b""
        self._downstream.write(data)


def head_bytes(
    answer: Answer,
    defaults: Iterable[tuple[bytes, bytes]],
    *,
    keep_alive: bool,
    bodyless: bool,
    chunks: bool,
) -> tuple[bytes, bool, bool]:
    """Return the head, whether its content is chunked, and whether the connection may be kept."""
    lines = [status_line(answer.status)]
    sized = False
    chunked = False
    for name, value in defaults:
        lines += (name, b": ", value, b"\r\n")
    for name, value in answer.lines:
        lines += (name, b": ", value, b"\r\n")
        if name == b"content-length":
            sized = True
    if not sized and not bodyless:
        if chunks:
            chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        else:
            keep_alive = False
    lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    return b"".join(lines), chunked, keep_alive
