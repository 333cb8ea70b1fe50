"""What a client connection is waited for, and for how long; and how its end is lingered over.

Every connection has one coarse timer, for what it is waited for now: a first head, another request, the rest of a head, more
of a body, the rest of a body that nobody wants any more, or the end after a refusal.

After a refusal the client's input is thrown away for a while (lingering close): closing at once would reset the connection,
and the client could lose the answer that it has not read (RFC 9112 section 9.6). So is the rest of a body whose request is
answered: if it ends within the same bounds, the next request follows, else the connection ends.
"""

from typing import TYPE_CHECKING, Final, final

from limen.engines.asgi.refusal import MOST_DISCARDED
from limen.engines.direct.stages import BODY, DISCARDING, HEAD, IDLE
from limen.engines.direct.timers import Timer
from limen.errors import Fault, Kind

if TYPE_CHECKING:
    from limen.engines.direct.protocol import GatewayProtocol

# What the connection's timer is for.
OFF: Final = 0
FIRST_HEAD: Final = 1
KEEP_ALIVE: Final = 2
HEAD_TIME: Final = 3
BODY_TIME: Final = 4
LINGER: Final = 5
REST_OF_BODY: Final = 6

# Looks at a body within the time of its silence: a deadline may be late by one of them.
LOOKS: Final = 4

# Seconds after which a connection ends of which so much was thrown away, and nothing more is read.
UNREAD: Final = 0.2


@final
class ConnectionTimer:
    """The timer of one connection; ``timing`` is what it is for."""

    __slots__ = ("_connection", "_discarded", "_limits", "_timer", "timing")

    def __init__(self, connection: "GatewayProtocol") -> None:
        """Nothing is waited for."""
        self._connection = connection
        self._limits = connection.limits
        self._timer = Timer(connection.state.timers)
        self._discarded: int = 0  # bytes
        self.timing: int = OFF

    def arm(self, timing: int, seconds: float) -> None:
        """Wait ``seconds`` for what ``timing`` says, in place of what was waited for."""
        self.timing = timing
        self._timer.set(self, seconds)

    def disarm(self) -> None:
        """Wait no more."""
        self.timing = OFF
        self._timer.clear()

    def drop(self) -> None:
        """Wait no more: the connection has ended."""
        self.timing = OFF
        self._timer.drop()

    def expired(self) -> None:
        """What was waited for has not come."""
        connection, limits = self._connection, self._limits
        timing, stage = self.timing, connection.parser.stage
        self.timing = OFF
        if connection.transport.is_closing():
            connection.transport.abort()
        elif timing == KEEP_ALIVE and connection.input.pending():
            self.arm(KEEP_ALIVE, limits.keepalive)  # another request is here, and waits for its turn
        elif timing == LINGER and self._discarded > MOST_DISCARDED:
            connection.transport.abort()  # over TLS, closing would read on, for as long as the client sends
        elif timing == REST_OF_BODY and connection.transport.get_write_buffer_size():
            self.arm(REST_OF_BODY, limits.linger)  # an answer is on its way yet: its own time decides
        elif timing in (LINGER, KEEP_ALIVE, REST_OF_BODY) or stage == IDLE:
            self._close()
        elif connection.input.stopped():
            # It is we who do not read: this time does not count.
            period = limits.head_time if timing == HEAD_TIME else limits.body_silence / LOOKS
            connection.parser.meter.pace.excuse(period, connection.loop.time())
            self.arm(timing, period)
        elif stage == HEAD:
            connection.refuse(Fault(Kind.HEAD_TIMEOUT))
        elif stage == BODY:
            if connection.parser.meter.pace.too_slow(connection.loop.time()):
                connection.refuse(Fault(Kind.REQUEST_TIMEOUT))
            else:
                self.arm(BODY_TIME, limits.body_silence / LOOKS)

    def idle_since(self) -> float | None:
        """Tell since when nothing is expected of the gateway here; None while something is, such as an answer to be read."""
        timing, connection = self.timing, self._connection
        if (
            connection.parser.stage != IDLE
            or timing not in (KEEP_ALIVE, FIRST_HEAD)
            or connection.transport.is_closing()
        ):
            return None
        if connection.transport.get_write_buffer_size() or connection.input.pending():
            return None
        return self._timer.deadline - (self._limits.keepalive if timing == KEEP_ALIVE else self._limits.head_time)

    # --- the end ---

    def linger(self) -> None:
        """Say that nothing follows, and throw away what still comes, for a while."""
        connection = self._connection
        if connection.transport.is_closing():
            return
        connection.parser.stage = DISCARDING
        if self.timing not in (LINGER, REST_OF_BODY):
            self._discarded = 0  # of a body before
        self.discard(connection.input.clear())
        self.arm(LINGER, self._limits.linger)
        if connection.transport.can_write_eof():
            connection.transport.write_eof()
        connection.input.resume()

    def discard_rest(self) -> None:
        """Throw the rest of a body away whose request is answered: it is of no use to anybody."""
        self._discarded = 0
        self.arm(REST_OF_BODY, self._limits.linger)

    def discard(self, size: int) -> None:
        """Throw ``size`` bytes away."""
        self._discarded += size
        if self.timing in (LINGER, REST_OF_BODY) and self._discarded > MOST_DISCARDED:
            # Who floods is not to be back at once, and that he has left is not noticed meanwhile.
            connection = self._connection
            connection.parser.stage = DISCARDING
            connection.input.clear()
            connection.input.pause()
            self.arm(LINGER, min(self._limits.linger, UNREAD))

    def _close(self) -> None:
        """Close; a client that has not read by now what was written to it gets no more time."""
        transport = self._connection.transport
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()

    def __repr__(self) -> str:
        """Show what is waited for."""
        return f"<ConnectionTimer {('off', 'first', 'kept', 'head', 'body', 'linger', 'rest')[self.timing]}>"
