"""How much of a service's answer has come, and what bounds all of it that is not content: heads, chunk framing, trailers."""

from typing import Final, final

# Interim answers (1xx) before the final one. A service that sends more will never answer.
_MOST_INTERIM: Final = 16

# Bytes of a head besides its reason phrase and header lines: "HTTP/1.1 200 ", the line's end and the empty line.
_HEAD_OVERHEAD: Final = 17

# Bytes of a header line besides its name and value.
_LINE_OVERHEAD: Final = 4

# The fewest bytes that a header line of an honest head has on average.
_LEAST_LINE: Final = 64

# Bytes of framing that a chunk may have: 16 digits, two line ends, and some to spare.
_CHUNK_OVERHEAD: Final = 24

# Bytes that count for a trailer besides its own.
_TRAILER_OVERHEAD: Final = 32


@final
class AnswerMeter:
    """Of one answer at a time: ``read`` bytes of it have come, ``content`` of them are content, in so many ``chunks``."""

    __slots__ = ("_head", "_interim", "_limit", "_lines", "_most_lines", "chunks", "content", "read")

    def __init__(self, limit: int) -> None:
        """``limit`` bounds a head, and as many bytes may be neither head nor content."""
        self._limit: int = limit
        self._most_lines: int = limit // _LEAST_LINE
        self.begin()

    def begin(self) -> None:
        """An exchange begins."""
        self.read: int = 0
        self.content: int = 0
        self.chunks: int = 0
        self._head: int = _HEAD_OVERHEAD
        self._lines: int = 0
        self._interim: int = 0

    def begin_again(self) -> bool:
        """An interim answer has ended, and another one follows; False if there were too many."""
        behind, interim = self.read - self._head, self._interim + 1
        self.begin()
        self.read = max(behind, 0)  # this read may have brought more than the interim head
        self._interim = interim
        return interim <= _MOST_INTERIM

    def add_reason(self, size: int) -> None:
        """A piece of the reason phrase has come."""
        self._head += size

    def add_line(self, name: bytes, value: bytes) -> bool:
        """A header line has come; False if there are too many, however short they are."""
        self._head += len(name) + len(value) + _LINE_OVERHEAD
        self._lines += 1
        return self._lines <= self._most_lines

    def add_trailer(self) -> None:
        """A trailer has come. It costs more than its bytes, as HTTP/2 counts it (RFC 9113 section 6.5.2): 4 can be one."""
        self._head -= _TRAILER_OVERHEAD

    def head_is_too_long(self) -> bool:
        """Tell whether a head that has ended is too long. By its lines: one read may bring much of the content with it."""
        return self._head > self._limit

    def growing_head_is_too_long(self) -> bool:
        """Tell whether a head that has not ended is too long, by what was read."""
        return self.read > self._limit

    def is_padded(self) -> bool:
        """Tell whether too many bytes are neither head nor content, nor the allowed framing of chunks."""
        return self.read - self._head - self.content - _CHUNK_OVERHEAD * self.chunks > self._limit

    def long_head(self) -> str:
        """Say that the head is too long."""
        return f"the head has more than {self._limit} bytes"

    def padding(self) -> str:
        """Say that too much is no content."""
        return f"more than {self._limit} bytes besides content"

    def __repr__(self) -> str:
        """Show what has come."""
        return f"<AnswerMeter {self.read} bytes, {self.content} of content>"
