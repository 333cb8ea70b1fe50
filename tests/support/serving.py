"""A gateway, or another ASGI application, on a real socket with one of the engines, in the test's own event loop."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

from starlette.types import ASGIApp

from engines import PROTOCOLS, Engine
from limen import Gateway
from limen.testing import drained
from limen_kit.testing import serving as sockets
from limen_kit.testing.serving import Served, until

__all__ = ["ENGINE", "Served", "serving", "until"]

ENGINE: Engine = "direct"
"""The engine of tests that do not care; fixtures set it for those that run on each."""


_PATIENCE = 10.0
"""Seconds after which nothing will be given back any more; far more than it takes."""


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    engine: Engine | None = None,
    *,
    plain: bool = False,
    headers: Sequence[tuple[str, str]] = (),
) -> AsyncGenerator[Served]:
    """Serve ``app`` on a free loopback port, on ``engine`` or the one that is set, until the block ends.

    ``plain`` is uvicorn's own protocol: no guard, no engine but asgi.
    ``headers`` are to be in every answer.
    """

    async def nothing_in_use() -> None:
        # What every test leaves behind, however its clients have left: nothing in use, and nobody in line.
        if isinstance(app, Gateway):
            async with asyncio.timeout(_PATIENCE):
                await drained(app)

    http = "httptools" if plain else PROTOCOLS[engine or ENGINE]
    async with sockets.serving(app, http=http, headers=headers, drained=nothing_in_use) as served:
        yield served
