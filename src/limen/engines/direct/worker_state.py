"""What the client connections of one worker share."""

import asyncio
from collections import Counter
from typing import Any

from uvicorn.config import Config

from limen.client.limits import MOST_CONNECTIONS, ClientLimits
from limen.engines.direct import server_log
from limen.engines.direct.idle import Idle
from limen.engines.direct.timers import FINE_TICK, Timers
from limen.exchange.request_ids import RequestIds
from limen.fairness.body_memory import BodyMemory
from limen.fairness.scheduler import scheduler_of
from limen.runtime.proxy_status import ProxyStatusWriter


class WorkerState:
    """``running`` counts what the direct engine serves now, ``addresses`` the connections of each client.

    ``connections`` is how many there may be, and ``idle`` finds those that make room then. ``proxy_status`` is the gateway's,
    for what is refused before its engine sees it; another application has none.
    """

    __slots__ = (
        "addresses",
        "bodies",
        "connections",
        "fine_timers",
        "fresh",
        "idle",
        "limits",
        "proxy_status",
        "running",
        "timers",
        "turns",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: ClientLimits,
        bodies: BodyMemory,
        proxy_status: ProxyStatusWriter | None = None,
    ) -> None:
        """Nobody is connected yet; ``bodies`` are those that the worker holds."""
        self.limits = limits
        self.bodies = bodies
        self.proxy_status = proxy_status
        self.connections = MOST_CONNECTIONS if limits.connections is None else limits.connections
        self.idle = Idle(loop)
        self.timers = Timers(loop)
        self.fine_timers = Timers(loop, FINE_TICK)
        self.turns = scheduler_of(loop)
        self.addresses: Counter[str] = Counter()
        self.running = 0
        self.fresh = RequestIds().fresh  # for what is answered before anybody serves it

    def __repr__(self) -> str:
        """Show what is counted."""
        return f"<WorkerState {self.running} running {self.addresses.total()} connected {self.timers!r}>"


def worker_state(config: Config, app_state: dict[str, Any], loop: asyncio.AbstractEventLoop) -> WorkerState:
    """Return the state that the connections with this ``app_state`` share; the first one makes it."""
    state: WorkerState | None = app_state.get("limen.guard")
    if state is None:
        limits: ClientLimits = app_state.get("limen.limits") or ClientLimits()
        if (bodies := app_state.get("limen.bodies")) is None:  # one that holds nothing is false
            bodies = BodyMemory.within(limits.body_memory)
        state = app_state["limen.guard"] = WorkerState(loop, limits, bodies, app_state.get("limen.proxy_status"))
        server_log.share(config, gateway="limen" in app_state)
    return state
