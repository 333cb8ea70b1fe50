"""What the body of a request may have besides content, and how fast it must come. Sums are made per read, not per chunk."""

from typing import Final, final

from limen.client.limits import ClientLimits
from limen.engines.direct.pace import Pace
from limen.errors import Fault, Kind

# Bytes by which the framing of a body's chunks may be more than its content. A chunk costs the same whatever its size:
# without a bound, those of one byte would be the dearest way to say nothing. These are 16,000 of them.
MOST_FRAMING: Final = 65536

# Chunks that are few for one step.
_FEW: Final = 16

# Bytes of framing that a chunk may have: 16 digits, two line ends, and some air.
_CHUNK: Final = 24


@final
class BodyMeter:
    """Of one body at a time, the one that comes on a connection: ``content`` bytes of it are content.

    ``chunked`` says that it comes in chunks, and ``few`` that the last step had few of them.
    """

    __slots__ = ("_chunks", "_chunks_before", "_limits", "chunked", "content", "few", "pace")

    def __init__(self, limits: ClientLimits) -> None:
        """No body has come yet."""
        self._limits = limits
        self.pace = Pace(limits)
        self.few = False
        self.begin()

    def begin(self) -> None:
        """A request begins."""
        self.content: int = 0
        self.chunked = False
        self._chunks: int = 0
        self._chunks_before: int = 0

    def add_chunk(self) -> None:
        """A chunk begins."""
        self._chunks += 1

    def flaw(self) -> Fault | None:
        """Return what is wrong with a body of which another read has come, ``pace`` knows how much."""
        if not self.chunked:
            return None
        self.few = self._chunks - self._chunks_before <= _FEW
        self._chunks_before = self._chunks
        besides = self.pace.raw - self.content
        if besides - _CHUNK * self._chunks > self._limits.chunk_overhead:
            return self.padded()
        if besides - self.content > MOST_FRAMING:
            return Fault(Kind.BAD_BODY, "The chunks of the request body are too small.")
        return None

    def is_padded(self, raw: int) -> bool:
        """Tell whether a body that has ended, with ``raw`` bytes in all, had too much besides content."""
        return raw - self.content - _CHUNK * self._chunks > self._limits.chunk_overhead

    def padded(self) -> Fault:
        """Return the fault of a body with too much besides content."""
        return Fault(Kind.BAD_BODY, "The request body has too much besides content.")
