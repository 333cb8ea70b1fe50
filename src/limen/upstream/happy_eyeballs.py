"""Connecting to whichever of several addresses answers first: Happy Eyeballs, RFC 8305 section 5.

1. the families take turns, beginning with that of the first address
2. the next attempt begins ``DELAY`` seconds after the one before, or at once when any attempt fails; sooner if the time until
   the deadline would not suffice for all addresses
3. the first address that is connected wins, TLS included; all other attempts are cancelled, and what they opened is closed
4. if all fail, the error that says most about the service is raised

Here and not by the loop: uvloop's ``create_connection`` tries addresses one after the other, and asyncio's
``happy_eyeballs_delay`` ends with TCP, before TLS. The second attempt of an address that accepts and then says nothing would
never begin.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from itertools import zip_longest
from typing import Any, Final

from limen.upstream.connection import Connection

DELAY: Final = 0.25
"""Seconds between the beginnings of two attempts, as RFC 8305 section 8 recommends."""

LEAST_DELAY: Final = 0.01
"""Seconds below which the delay never goes, however many addresses there are (RFC 8305 section 8)."""

MOST_AT_ONCE: Final = 8
"""Attempts of one connect that are under way at once. The oldest makes room for the next."""

Connect = Callable[[str], Coroutine[Any, Any, Connection]]


def pairs(addresses: Iterable[str]) -> list[tuple[str, ...]]:
    """Pair the addresses of the first one's family with those of the other, as far as there are any; the order stays."""
    families: dict[bool, list[str]] = {}
    for address in addresses:
        families.setdefault(":" in address, []).append(address)
    return [tuple(filter(None, pair)) for pair in zip_longest(*families.values())]


async def connect_to_first(addresses: Iterable[str], connect: Connect, deadline: float | None) -> Connection:
    """Return a connection to one of ``addresses``, at least one; ``connect`` makes an attempt at one of them.

    ``deadline`` is in the loop's time, and the caller enforces it; None is no bound. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    waiting = deque(address for pair in pairs(addresses) for address in pair)
    running: list[asyncio.Task[Connection]] = []  # the oldest first
    failures: list[OSError] = []
    try:
        while waiting or running:
            if waiting:
                if len(running) == MOST_AT_ONCE:
                    _give_up(running.pop(0))
                    failures.append(TimeoutError("no answer while other addresses were tried"))
                running.append(loop.create_task(connect(waiting.popleft())))
            delay = _delay(loop.time(), deadline, len(waiting)) if waiting else None
            await asyncio.wait(running, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            if (connection := _take_connected(running, failures)) is not None:
                return connection
        raise max(failures, key=_tells)
    finally:
        for task in running:
            _give_up(task)
        # An error refers to this frame. If the frame referred to the error, both would stay until the collector runs.
        running.clear()
        failures.clear()


def _delay(now: float, deadline: float | None, left: int) -> float:
    """Return after how many seconds the next attempt begins if nothing fails: ``left`` of them have to begin in time."""
    if deadline is None:
        return DELAY
    return min(DELAY, max(LEAST_DELAY, (deadline - now) / (left + 1)))


def _take_connected(running: list[asyncio.Task[Connection]], failures: list[OSError]) -> Connection | None:
    """Return the connection of the first attempt that has one. Move the errors of those that failed to ``failures``."""
    for task in [task for task in running if task.done()]:
        running.remove(task)
        error = task.exception()
        if error is None:
            return task.result()
        if not isinstance(error, OSError):
            raise error
        failures.append(error)
    return None


def _tells(error: OSError) -> int:
    """Return how much ``error`` says about the service.

    Who could not be trusted was there, and who refused has a host that is up. Silence may be the network's; an address that
    cannot be reached at all is most often of a family that this machine does not have.
    """
    for most, kind in ((3, ssl.SSLError), (2, ConnectionError), (1, TimeoutError)):
        if isinstance(error, kind):
            return most
    return 0


def _give_up(task: "asyncio.Task[Connection]") -> None:
    task.cancel()
    task.add_done_callback(_close)


def _close(task: "asyncio.Task[Connection]") -> None:
    """Close what an attempt has opened that was cancelled too late, and report what is no failure to connect."""
    if task.cancelled():
        return
    error = task.exception()
    if error is None:
        task.result().forget()
    elif not isinstance(error, OSError):
        context = {"message": "a cancelled attempt to connect failed", "exception": error, "task": task}
        task.get_loop().call_exception_handler(context)
