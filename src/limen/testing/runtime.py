"""What a test may ask of a gateway that runs in its own event loop: what is in use now, and to be told when nothing is."""

from limen.runtime.host import EngineHost
from limen.runtime.snapshot import Snapshot


def snapshot(app: EngineHost) -> Snapshot:
    """Return what the connections of ``app``, a Gateway, to its services do now."""
    return app.live().runtime.snapshot()


async def drained(app: EngineHost) -> None:
    """Return once no connection of ``app``, a Gateway, is in use or being opened, and no request waits for one.

    At once if that is so already: wait first until what is to end has begun. There is no time limit; use
    ``asyncio.timeout``.
    """
    await app.live().runtime.drained()
