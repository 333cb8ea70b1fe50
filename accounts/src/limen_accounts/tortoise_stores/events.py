"""Events in a database, with Tortoise. ``accounts`` inserts them, in the transactions of the changes."""

from limen_accounts.tortoise_stores.models import EventRow
from limen_kit.outbox import Event


class TortoiseOutbox:
    """An ``Outbox`` in the database that Tortoise has opened."""

    async def pending_events(self, limit: int) -> list[Event]:
        """Return the rows with the lowest numbers."""
        rows = await EventRow.all().order_by("number").limit(limit)
        return [Event(row.id, row.type, row.data, row.created_at) for row in rows]

    async def event_delivered(self, event_id: str) -> None:
        """Delete the row."""
        await EventRow.filter(id=event_id).delete()
