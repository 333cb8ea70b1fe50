"""What requests run against, and how an engine asks an application for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from limen.exchange.hooks import NO_HOOKS, Hooks
from limen.routing.table import Table
from limen.runtime.plan import AccessControl, Plan
from limen.runtime.state import Runtime


@dataclass(frozen=True, slots=True)
class ActiveConfig:
    """The compiled table and the runtime that it was compiled against. A new one replaces the old as a whole.

    ``hooks`` are those of the gateway's own policies, for requests that no route answers. Only they have ``enter``.
    ``local_access`` says who may call endpoints of the application's own, by ``LocalEntry.route``.
    """

    table: Table[Plan]
    runtime: Runtime
    hooks: Hooks = NO_HOOKS
    local_access: Mapping[object, AccessControl] = field(default_factory=dict[object, AccessControl])


class EngineHost(Protocol):
    """An application as an engine sees it. It is asked once per request, so that no request sees half of a change."""

    def active_config(self) -> ActiveConfig:
        """Return what this event loop has, to look at it."""
        ...

    def active_config_of_loop(self) -> ActiveConfig:
        """Return what requests in the running event loop run against now."""
        ...

    def active_config_of_lifespan(self) -> ActiveConfig:
        """Return the same for less, in an event loop in which the lifespan of the application runs."""
        ...

    def direct(self) -> bool:
        """Tell whether an engine may answer by itself: no middleware of the application's has to see the request."""
        ...

    @property
    def root_path(self) -> str:
        """The prefix under which the application is reached, if it says one itself."""
        ...
