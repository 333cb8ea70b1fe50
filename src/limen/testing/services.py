"""A gateway with its services in one process: ``WithServices`` is an ASGI application for whatever runs one."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import Context, copy_context

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limen.exchange.clock import NOW
from limen.runtime.system import CURRENT, SYSTEM, System
from limen.testing.clock import Clock
from limen.testing.lifespan import lifespan
from limen.testing.network import MemoryNetwork, service_key
from limen.testing.server import AppServer, ScriptServer, Server
from limen.testing.target import ScriptedTarget
from limen.testing.upstream import ScriptedUpstream

Service = ASGIApp | ScriptedUpstream | ScriptedTarget
"""A service in memory: any ASGI application, such as a FastAPI, or a script."""


class WithServices:
    """An ASGI application: ``app``, which is or holds a Gateway, with ``services`` that it reaches without a network.

    ``services`` are by the name of their upstream, or by an address such as ``"https://id.example"``, which outside issuers
    have. They start with the lifespan and stop after the gateway, so it needs one: use it as
    ``with TestClient(WithServices(app, services={...})) as client``. What the gateway does on its connections is the real
    thing: pools, timeouts, retries, back pressure.

    ``clock`` is the time that the test moves, by default the real one. A service that is called and not given is a
    ``ServiceMissing``, raised by the request.
    """

    def __init__(
        self, app: ASGIApp, *, services: Mapping[str, Service] | None = None, clock: Clock | None = None
    ) -> None:
        """Start nothing yet."""
        self._app = app
        self._services = dict(services or {})
        self._clock = clock
        self._servers: dict[str, Server] = {}
        self.network = MemoryNetwork(self._servers, self._services)
        time = SYSTEM if clock is None else clock
        self._system = System(lambda: self.network, time.now, time.monotonic)

    def enter(self) -> None:
        """Make the present context, of a task, one in which the gateway runs on these services and this clock."""
        CURRENT.set(self._system)
        NOW.set(self._system.now)

    @asynccontextmanager
    async def started(self) -> AsyncGenerator[None]:
        """Run the services in the running event loop, and the clock. Raises RuntimeError for one that does not start."""
        if self._servers:
            raise RuntimeError(
                "these services run already; make another WithServices for another lifespan at the same time"
            )
        outside = copy_context()
        async with AsyncExitStack() as stack:
            if self._clock is not None:
                stack.enter_context(self._clock.controlling(asyncio.get_running_loop()))
            stack.callback(self._servers.clear)
            for name, service in self._services.items():
                server = await stack.enter_async_context(_served(name, service, outside))
                self._servers[service_key(name)] = server
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or run the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        system, now = CURRENT.set(self._system), NOW.set(self._system.now)
        try:
            await self._app(scope, receive, send)
        finally:
            NOW.reset(now)
            CURRENT.reset(system)
        self.network.raise_missing()

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        ended = False

        async def note(message: Message) -> None:
            nonlocal ended
            ended = True
            await send(message)

        try:
            async with self.started():
                self.enter()  # this task is the lifespan's own
                await self._app(scope, receive, note)
        except Exception as error:
            if not ended:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise


@asynccontextmanager
async def _served(name: str, service: Service, context: Context) -> AsyncGenerator[Server]:
    if isinstance(service, ScriptedUpstream | ScriptedTarget):
        scripted = ScriptServer(service.listener, context)
        try:
            yield scripted
        finally:
            await scripted.close()
        return
    if not callable(service):
        raise TypeError(
            f"services[{name!r}] is {service!r}, and neither an ASGI application nor a ScriptedUpstream or ScriptedTarget"
        )
    async with lifespan(service, f"the service {name!r}", context.copy()) as state:
        server = AppServer(service, state, context)
        try:
            yield server
        finally:
            await server.close()
