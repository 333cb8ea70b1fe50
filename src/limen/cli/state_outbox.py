"""What is still to be sent to the other end of a state socket: the last value of each state, and nothing twice.

An end that reads slowly, or not at all, costs this process one value per state, and never makes it wait.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final, cast

from limen.cli.state_lines import GATHER, Key, Value, keep

# Lines that are written in a row before the transport is asked again whether it takes more.
_MOST_LINES: Final = 256


class StateOutbox:
    """``encode`` makes the line of a state when it is written; an empty one is not sent."""

    __slots__ = ("_encode", "_flushed", "_paused", "_pending", "_timer", "_transport")

    def __init__(self, encode: Callable[[Key, Value], bytes]) -> None:
        """Keep what is to be sent until there is a transport."""
        self._encode = encode
        self._pending: dict[Key, Value] = {}
        self._flushed = -inf  # when, in the loop's time
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.WriteTransport | None = None

    def __contains__(self, key: Key) -> bool:
        """Tell whether a value of ``key`` is still to be sent."""
        return key in self._pending

    def open(self, transport: asyncio.BaseTransport) -> None:
        """Send over ``transport`` from now on."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._soon()

    def put(self, key: Key, value: Value) -> None:
        """Send ``value`` in the next turn of the loop, or ``GATHER`` seconds after the last; a later one takes its place."""
        keep(self._pending, key, value)
        self._soon()

    def discard(self, key: Key) -> None:
        """Send nothing of ``key`` any more."""
        self._pending.pop(key, None)

    def write(self, line: bytes) -> None:
        """Send ``line`` at once; for what is said rarely."""
        if self._transport is not None:
            self._transport.write(line)

    def pause(self) -> None:
        """Send nothing until ``resume``: the other end does not read."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._soon()

    def close(self) -> None:
        """Send nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._pending.clear()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def _soon(self) -> None:
        if self._pending and self._timer is None and self._transport is not None and not self._paused:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._flushed + GATHER), self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._flushed = asyncio.get_running_loop().time()
        for _ in range(_MOST_LINES):
            if self._paused or self._transport is None or not self._pending:
                break
            key = next(iter(self._pending))
            if line := self._encode(key, self._pending.pop(key)):
                self._transport.write(line)
        self._soon()

    def __repr__(self) -> str:
        """Show how much waits."""
        return f"<StateOutbox {len(self._pending)} pending{' paused' if self._paused else ''}>"
