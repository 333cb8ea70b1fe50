"""``serving``: a gateway, its services, and a client, in one event loop and without a socket."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from limen.testing.clock import Clock
from limen.testing.lifespan import lifespan
from limen.testing.server import AppServer, Engine
from limen.testing.services import Service, WithServices

if TYPE_CHECKING:
    import httpx2


@asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    services: Mapping[str, Service] | None = None,
    clock: Clock | None = None,
    engine: Engine = "direct",
    client: str = "127.0.0.1",
) -> "AsyncGenerator[httpx2.AsyncClient]":
    """Run ``app``, which is or holds a Gateway, and yield a client that talks to it, at ``http://gateway.test``.

    - ``services`` are what is behind it, by the name of their upstream or by an address: ASGI applications, whose lifespans
      are run, or ``ScriptedUpstream`` for faults. One that is called and not given raises ``ServiceMissing`` in the client.
    - ``clock`` is the time of all of them, which the test moves; by default time is real.
    - ``engine`` is ``"direct"``, as ``limen serve`` has it, or ``"asgi"``, as any other ASGI server does.
    - ``client`` is the address that the gateway sees.

    The client has no timeouts, since the gateway's are what is tested; give it some by ``client.timeout = 5``. Everything
    runs in the running event loop. Raises RuntimeError if the gateway or a service does not start.
    """
    try:
        import httpx2

        from limen.testing.client import MemoryClient
    except ImportError:
        raise RuntimeError(
            "limen.testing.serving needs httpx2, as FastAPI's TestClient does: pip install httpx2"
        ) from None
    if engine not in ("direct", "asgi"):
        raise ValueError(f"engine={engine!r}; use 'direct' or 'asgi'")
    wrapped = WithServices(app, services=services, clock=clock)

    async def raise_missing(response: "httpx2.Response") -> None:
        wrapped.network.raise_missing()

    async with wrapped.started():
        context = copy_context()
        context.run(wrapped.enter)
        async with lifespan(app, "the gateway", context.copy()) as state:
            server = AppServer(app, state, context, engine)
            try:
                async with httpx2.AsyncClient(
                    transport=MemoryClient(server, client),
                    base_url="http://gateway.test",
                    timeout=None,
                    event_hooks={"response": [raise_missing]},
                ) as made:
                    yield made
            finally:
                await server.close()
