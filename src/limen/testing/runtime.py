"""The state of a gateway that runs in the test's event loop."""

from limen.runtime.host import EngineHost
from limen.runtime.snapshot import Snapshot


def snapshot(app: EngineHost) -> Snapshot:
    """Return the present state of the connections of ``app``, a Gateway, to its services."""
    return app.active_config().runtime.snapshot()


async def drained(app: EngineHost) -> None:
    """Return once no connection of ``app``, a Gateway, is in use or being opened, and no request waits for one.

    That may be at once: first wait until the work has begun. There is no time limit; use ``asyncio.timeout``.
    """
    await app.active_config().runtime.drained()
