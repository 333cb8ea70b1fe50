"""One request of a client connection, in line with those before and behind it, whoever answers it.

The newest is the one whose body may still come; the oldest that is not answered has its turn. ``LocalReply`` is finished
already, ``DirectExchange`` and ``AsgiRequest`` find their answer when their turn has come, or soon after.
"""

from typing import Final

from limen.errors import Fault, Kind

GONE: Final = Fault(Kind.CLIENT_CLOSED)
"""Why a connection ends, unless somebody says otherwise."""


class PipelinedRequest:
    """``complete`` says that its answer is out or given up, ``keep_alive`` that the connection may go on behind it.

    ``replaceable`` says that the server may still answer in its place.
    """

    __slots__ = ("complete", "keep_alive")

    def __init__(self, *, keep_alive: bool) -> None:
        """It is not answered yet."""
        self.complete = False
        self.keep_alive = keep_alive

    @property
    def replaceable(self) -> bool:
        """Tell whether the server may still answer in its place."""
        return False

    def begin(self) -> None:
        """Answer, or set out to: it is this request's turn."""

    def body_came(self, data: bytes) -> None:
        """Take a piece of the request's body."""

    def body_ended(self) -> None:
        """Take note that the request is whole."""

    def client_gone(self, fault: Fault) -> None:
        """End: the connection of a request that has begun was lost, or cut for ``fault``."""

    def drop(self, fault: Fault) -> None:
        """End, and record it: the connection has ended for ``fault`` before it was this request's turn."""

    def detach(self) -> None:
        """Hold nothing more: another answer takes the place of this request's in the line, and in the log."""
        self.complete = True

    def abort_request(self, fault: Fault) -> bool:
        """End, since the body will not become whole; False if somebody else has to answer."""
        self.keep_alive = False
        return True

    def pause(self) -> None:
        """Write no more for now: the client reads too slowly."""

    def resume(self) -> None:
        """Write again."""

    def cause_of_end(self) -> Fault | None:
        """Return what has cut its answer, and with it the connection; None if nothing has."""
        return None
