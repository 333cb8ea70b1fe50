"""When a client connection is read and parsed: what was read and must wait, and when more is read.

One read brings up to 256 KiB, which can be ten thousand requests or 40,000 chunks. So it is parsed in steps, of which each
ends with the first head in it, and no further than the line of pipelined requests allows. As long as something waits to
be parsed, the socket is not read; nor is it after a long read, before the connection has had its turn.
"""

import asyncio
from typing import TYPE_CHECKING, Final, final

from limen.fairness.body_memory import BodyMemory
from limen.fairness.scheduler import LONG_READ, READ_COST, LoopScheduler
from limen.http.networks import network_of

if TYPE_CHECKING:
    from limen.engines.direct.protocol import GatewayProtocol

# Pipelined requests in line before nothing more is parsed or read. While it is read, a client that leaves is noticed.
MOST_WAITING: Final = 16

# Bytes of a read that are parsed at once where nothing waits: nearly every request. So many are 39 of the smallest ones.
SMALL: Final = 1024

# Bytes of one step: of heads and small chunks, whose number is what they cost; and of content, of known length or in large
# chunks.
STEP: Final = 4096
STRETCH: Final = 65536

# Steps of a read that are done at once, while the turn of the loop has time: a head, and content that came with it. Chunks,
# of which a step may have many, wait for a turn.
_AT_ONCE: Final = 2

_END_OF_HEAD: Final = b"\r\n\r\n"


@final
class InputBuffer:
    """One connection's bytes that are not parsed yet."""

    __slots__ = (
        "_at",
        "_bodies",
        "_connection",
        "_counted",
        "_data",
        "_must_yield",
        "_network",
        "_requests",
        "_stopped",
        "_transport",
        "_turns",
        "paused",
        "queued",
        "write_paused",
    )

    def __init__(
        self, connection: "GatewayProtocol", transport: asyncio.Transport, turns: LoopScheduler, bodies: BodyMemory
    ) -> None:
        """Nothing has been read."""
        self._connection: GatewayProtocol | None = connection
        self._requests = connection.requests
        self._transport = transport
        self._turns = turns
        self._bodies = bodies
        self._network: bytes | None = None  # of the client, once it is known
        self._counted = False  # among what the worker holds
        self._data = b""
        self._at = 0
        self._stopped = False  # the socket is not read
        self._must_yield = False  # since the last read was a long one
        self.queued = False
        self.paused = False
        self.write_paused = False

    def free(self) -> bool:
        """Tell whether nothing waits, and nobody wants to wait: what comes may be parsed as it comes."""
        return not self._requests.waiting and not self.paused and not self._data

    def in_line(self) -> bool:
        """Tell whether requests are in line."""
        return bool(self._requests.waiting)

    def stopped(self) -> bool:
        """Tell whether it is the gateway that does not read, or does not get to parse what it has read."""
        return self._stopped or self.pending()

    def pending(self) -> bool:
        """Tell whether bytes wait to be parsed."""
        return len(self._data) > self._at

    def take(self, data: bytes) -> None:
        """Parse ``data`` step by step, at most a few of them now."""
        connection = self._connection
        if connection is None:
            return
        self._data = self._data[self._at :] + data if self._data else data
        self._at = 0
        self._must_yield = self._must_yield or len(data) >= LONG_READ
        turns = self._turns
        if turns.has_time():
            begun = turns.now()
            for _ in range(_AT_ONCE):
                if not self.pending() or not self._may_parse() or connection.parser.is_chunked():
                    break
                self._parse()
            turns.charge_since(begun)
        self._count_rest(len(data))

    def keep(self, data: bytes) -> None:
        """Parse ``data``, a small read where nothing else waits, in its turn with others of its kind."""
        self._data = data
        self._at = 0
        self._count_rest(len(data))

    def _count_rest(self, size: int) -> None:
        self.schedule()
        if self.pending():
            self._counted = True
            self._bodies.add(self, size)

    def count_discarded(self, size: int) -> None:
        """Count a read of which nothing is parsed any more."""
        if size >= LONG_READ:
            self._must_yield = True
            self.schedule()

    def put_back(self, data: bytes) -> None:
        """Parse ``data``, a rest of what was parsed last, before all else that waits."""
        self._data = data + self._data[self._at :]
        self._at = 0
        self.schedule()

    def step(self) -> None:
        """Begin the next request in line, or parse one step; asked for by ``schedule``."""
        connection = self._connection
        if connection is None:
            return
        if not connection.begin_next() and self.pending() and self._may_parse():
            self._parse()
        if self._must_yield and not self.pending():
            self._must_yield = False
            self._turns.charge(READ_COST)
        self.schedule()

    def schedule(self) -> None:
        """Ask for a turn if there is something to do, and read the socket only if nothing waits."""
        connection = self._connection
        if connection is None:
            return
        waits = self.pending()
        if connection.may_begin() or (self._may_parse() if waits else self._must_yield):
            if self._network is None:  # few have to ask
                self._network = network_of(connection.client)
            self._turns.ask(
                self, self._network, light=waits and len(self._data) <= SMALL and not self._requests.waiting
            )
        stop = waits or self._must_yield or self.paused or self._requests.is_full()
        if stop is not self._stopped and not self._transport.is_closing():
            self._stopped = stop
            if stop:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def take_back(self) -> bytes:
        """Parse nothing of what waits; return it."""
        data = self._data[self._at :]
        self._empty()
        return data

    def clear(self) -> int:
        """Parse nothing of what waits; return how many bytes that were."""
        return len(self.take_back())

    def cut(self) -> None:
        """Give up: the worker holds too much."""
        self._counted = False
        if self._connection is not None:
            self._connection.give_up_reading()

    def give_away(self) -> None:
        """Read nothing more: the connection belongs to another protocol now, which reads for itself."""
        if self._stopped and not self._transport.is_closing():
            self._transport.resume_reading()
        self.close()

    def close(self) -> None:
        """The connection is lost: let go of it, and of one another, which else would wait for the collector."""
        self.clear()
        self._connection = None

    def pause(self) -> None:
        """Read no more, and parse no more of what was read."""
        if not self.paused:
            self.paused = True
            self.schedule()

    def resume(self) -> None:
        """Read and parse again."""
        if self.paused:
            self.paused = False
            self.schedule()

    def _may_parse(self) -> bool:
        connection = self._connection
        return not self.paused and connection is not None and not self._requests.is_full() and connection.parses()

    def _empty(self) -> None:
        self._data = b""
        self._at = 0
        if self._counted:
            self._counted = False
            self._bodies.drop(self)

    def _parse(self) -> None:
        connection = self._connection
        if connection is None:
            return
        data, at = self._data, self._at
        parser = connection.parser
        left = parser.content_left()
        if left:
            end = at + min(left, STRETCH)
        else:
            # What ends a head may have begun in the step before.
            most = at + (STRETCH if parser.chunks_are_large() else STEP)
            found = data.find(_END_OF_HEAD, max(at - 3, 0), most)
            end = most if found < 0 else found + 4
        if end >= len(data):
            self._empty()
        else:
            self._at = end
        parser.parse(data[at:end])

    def __repr__(self) -> str:
        """Show what waits, and why."""
        return f"<InputBuffer {len(self._data) - self._at} bytes wait{', not read' if self._stopped else ''}>"
