"""What requests run against, and where the engines find it."""

from dataclasses import dataclass
from typing import Protocol

from limen.exchange.hooks import NONE, Hooks
from limen.routing.table import Table
from limen.runtime.plan import Plan
from limen.runtime.state import Runtime


@dataclass(frozen=True, slots=True)
class ActiveConfig:
    """The compiled table and the runtime that it was compiled against; a new one replaces the old as a whole.

    ``hooks`` are those of the gateway's own policies, for what no route answers; ``enter`` is among them alone.
    """

    table: Table[Plan]
    runtime: Runtime
    hooks: Hooks = NONE


class EngineHost(Protocol):
    """What an application shows to an engine; asked once per request, so that no request sees half of a change."""

    def live(self) -> ActiveConfig:
        """Return what requests run against now."""
        ...

    def direct(self) -> bool:
        """Tell whether an engine may answer without going through the application's middleware: there is none."""
        ...
