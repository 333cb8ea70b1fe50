"""Events that a service has stored in the transaction of the change itself.

A change and a request to somebody else cannot be one transaction: between them the process may die. So the change stores
the event (the *outbox*), and what delivers it reads it from there.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened. ``id`` is unique at its sender; ``data`` is JSON and part of the contract of ``type``."""

    id: str
    type: str
    data: dict[str, Any]
    created_at: datetime


class Outbox(Protocol):
    """Events that are stored and not delivered yet."""

    async def pending_events(self, limit: int) -> list[Event]:
        """Return at most ``limit`` of them, the oldest first."""
        ...

    async def event_delivered(self, event_id: str) -> None:
        """Forget this event; nothing happens if it is forgotten already."""
        ...
