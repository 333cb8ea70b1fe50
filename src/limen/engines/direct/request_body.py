"""The body of one request on the direct engine, as long as some of it is held."""

from typing import Final, final

from limen.engines.direct.downstream import CONTINUE, Downstream
from limen.exchange.granted import Transform
from limen.fairness.body_memory import BodyMemory, Holder

NO_PARTS: Final[list[bytes]] = []
"""Stands for what is held until something is: nothing is ever added to it."""


@final
class RequestBody:
    """What has come of a body: ``seen`` bytes, all of them if it is ``whole``; ``parts`` are held.

    ``keep_most`` bounds, in bytes, what is kept for another attempt once it has gone to the service. ``forwarded`` says that
    something has gone there and is not kept, so that another attempt could not have it again.
    """

    __slots__ = (
        "_bodies",
        "_counted",
        "_expects",
        "_kept",
        "_transform",
        "forwarded",
        "keep_most",
        "parts",
        "seen",
        "whole",
    )

    def __init__(self, bodies: BodyMemory, *, expects: bool) -> None:
        """Nothing has come; ``bodies`` are those that the worker holds. ``expects`` says that the client waits for 100."""
        self._bodies = bodies
        self._counted = False
        self._expects = expects
        self._transform: Transform | None = None
        self.parts: list[bytes] = NO_PARTS
        self.seen: int = 0
        self.whole = False
        self.forwarded = False
        self._kept: int = 0  # bytes of ``parts`` that an attempt has got
        self.keep_most: int = 0

    def ask_for(self, downstream: Downstream) -> None:
        """Let the client send it, if it waits to be told."""
        if self._expects and not self.whole and not self.seen:
            downstream.write(CONTINUE)
        self._expects = False

    def exceeds(self, most: int | None) -> bool:
        """Tell whether more than ``most`` bytes have come; None is no bound."""
        return most is not None and self.seen > most

    def hold(self, data: bytes, holder: Holder) -> None:
        """Keep a piece, which counts for ``holder``, whose body this is; it may be the one that has to give way."""
        if self.parts is NO_PARTS:
            self.parts = []
        self.parts.append(data)
        self._counted = True
        self._bodies.add(holder, len(data))

    def taken(self) -> bytes:
        """Return what is held, and hold it no longer; it counts still, as long as it is checked."""
        content = b"".join(self.parts)
        self.parts.clear()
        return content

    def change_by(self, transform: Transform) -> None:
        """Let ``transform`` have what has come, and from now on what comes."""
        self._transform = transform
        if self.parts:
            self.parts = [transform.feed(b"".join(self.parts))]
        if self.whole:
            self.parts = [*self.parts, transform.end()]

    def changed(self, data: bytes) -> bytes:
        """Return a piece as the service gets it."""
        if self._transform is None:
            return data
        return self._transform.feed(data) + self._transform.flush()

    def rest(self) -> bytes:
        """Return what the service gets behind the last piece."""
        return b"" if self._transform is None else self._transform.end()

    def sent(self, holder: Holder, *, more: bool) -> None:
        """Take note that an attempt has got all parts, and that ``more`` follow: they are kept if they are few enough."""
        self._kept = sum(map(len, self.parts))
        if self._kept > self.keep_most:
            if more:
                self.forwarded = True
                self.parts.clear()
            self.uncount(holder)  # what is still held is on its way

    def passed_on(self, data: bytes, holder: Holder) -> None:
        """Take note that an attempt has got ``data`` too."""
        if self.forwarded or not data:
            return
        self._kept += len(data)
        if self._kept <= self.keep_most:
            self.hold(data, holder)
        else:
            self.forwarded = True
            self.release(holder)

    def uncount(self, holder: Holder) -> None:
        """Count no longer."""
        if self._counted:
            self._counted = False
            self._bodies.drop(holder)

    def release(self, holder: Holder) -> None:
        """Hold nothing more."""
        self.parts.clear()
        self.uncount(holder)

    def give_up(self) -> None:
        """Hold nothing more: the worker has stopped counting it."""
        self._counted = False
        self.forwarded = True
        self.parts.clear()

    def __repr__(self) -> str:
        """Show how much has come."""
        return f"<RequestBody {self.seen} bytes{', whole' if self.whole else ''}>"
