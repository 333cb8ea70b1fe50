"""What a gateway gets from the system that it runs on: a network and clocks. ``limen.testing`` brings others."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic, time
from typing import Final

from limen.upstream.network import Network, Sockets


@dataclass(frozen=True, slots=True)
class System:
    """``make_network`` makes what connections are opened on, once for each runtime.

    ``now`` gives seconds since the epoch, ``monotonic`` seconds of a clock that only goes forward. Timeouts are the event
    loop's: whoever brings another ``monotonic`` brings a loop that agrees with it.
    """

    make_network: Callable[[], Network] = Sockets
    now: Callable[[], float] = time
    monotonic: Callable[[], float] = monotonic


SYSTEM: Final = System()
"""The real one."""

CURRENT: Final[ContextVar[System]] = ContextVar("limen.system", default=SYSTEM)
"""The system of gateways that begin to run in a context."""


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
