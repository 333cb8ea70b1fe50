"""``Gateway``: a FastAPI application whose path operations may be stubs that a service answers."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Unpack, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from limen.app import local_checks
from limen.app.collect import Collected, Collector, hide_forwards
from limen.app.config import GatewayConfig
from limen.app.declaration import Declared, declare, declare_websocket, never_served
from limen.app.dependencies import DependencyGuard, guard_first
from limen.app.document.endpoint import load_first
from limen.app.document.operation_ids import FunctionNames, chosen_by_user
from limen.app.document.public_document import Facts, PublicDocument
from limen.app.forward import declare_forward
from limen.app.group import Group
from limen.app.group_policies import GroupPolicies
from limen.app.jwks import JwkSetSource, publish
from limen.app.lifespan import Lifespan, UserLifespan
from limen.app.local import exception_handlers, on_invalid_request, server_error_handler
from limen.app.options import Auth, ForwardOptions, RouteOptions, SocketOptions, Stub, Verbs
from limen.app.stub import LOCAL_DEFAULT, document
from limen.app.telemetry import observes
from limen.auth.assertion import Assertion
from limen.auth.jwt import Jwt
from limen.auth.method import Methods
from limen.auth.revocation import RevocationStore
from limen.client.limits import ClientLimits
from limen.client.trust import Trust
from limen.engines.asgi.engine import Engine
from limen.engines.asgi.record import recorded
from limen.engines.asgi.root_path import take_prefix
from limen.exchange.policy import Policy
from limen.exchange.principal import Principal
from limen.observe import access
from limen.observe.redaction import logger
from limen.routing.table import Match
from limen.runtime.health_paths import HealthPaths
from limen.runtime.host import ActiveConfig
from limen.runtime.local_route import LocalEntry
from limen.runtime.proxy_status import ProxyStatus
from limen.runtime.revocation_relay import RevocationRelay
from limen.runtime.route import Route
from limen.runtime.route_info import RouteInfo
from limen.runtime.state import Runtime
from limen.runtime.system import System

PROXY_STATUS = ProxyStatus()


def _roles(principal: Principal) -> str:
    return ",".join(sorted(principal.roles))


IDENTITY: Mapping[str, Callable[[Principal], str]] = {
    "request-user-id": lambda principal: principal.id,
    "request-user-role": _roles,
}


class Gateway(Verbs, FastAPI):  # pyright: ignore[reportIncompatibleMethodOverride] - stubs take more options than FastAPI's operations
    """A FastAPI application that is an API gateway.

    - ``auth``: how callers prove who they are, one method or several joined with ``|``, on every route that does not say so
      itself. Without it only public routes compile.
    - ``identity``: header names and what they tell the services about the caller. Clients can never send these headers.
    - ``assertion``: tells the services the same signed, so that they need not trust the network.
    - ``revocations``: knows which tokens ended early; ``limen.auth.Revocations`` does so within one process.
    - ``jwks_path``: where the public keys of tokens and assertions are published, if there are any. None is nowhere.
    - ``ready_path``, ``live_path``: where the gateway says whether it is ready, and that it lives, unless something else is
      declared there. None is nowhere.
    - ``policies``: what happens to every request and answer besides, such as ``[Headers(...)]`` (``limen.policies``); those
      of a group or a route come on top, and the nearest wins by kind.
    - ``limits``: those of the clients' side, for servers that use a protocol class of ``limen.engines.direct``.
    - ``trust``: the proxies in front that are believed about their clients, nobody unless given.
    - ``proxy_status``: what the gateway says of itself, as ``Proxy-Status``, where it answers with a fault, and to whom it
      names the target. None says nothing.

    ``lifespan`` and every other keyword are FastAPI's. Bodies of FastAPI's own endpoints may have 256 KiB, unless the
    ``max_body_size=`` of the endpoint or of its router says otherwise.

    Declaration errors are collected and raised together, as ``limen.errors.DeclarationError``, by ``compile`` or at start.
    A route that is declared while the application runs is served from then on. If it is wrong, the log says why, and what was
    compiled before serves on.
    """

    def __init__(
        self,
        *,
        auth: Auth | None = None,
        identity: Mapping[str, Callable[[Principal], str]] = IDENTITY,
        assertion: Assertion | None = None,
        revocations: RevocationStore | None = None,
        policies: Sequence[Policy] = (),
        jwks_path: str | None = "/.well-known/jwks.json",
        ready_path: str | None = "/readyz",
        live_path: str | None = "/healthz",
        limits: ClientLimits | None = None,
        trust: Trust | None = None,
        proxy_status: ProxyStatus | None = PROXY_STATUS,
        lifespan: Lifespan | None = None,
        **fastapi: Any,
    ) -> None:
        """Create the application; nothing is compiled yet."""
        self.auth = Methods.of(auth)
        self._assertion = assertion
        # Event loops come and go, and a store is told once whom to call.
        self._revocations = None if revocations is None else RevocationRelay(revocations)
        self.limits = limits or ClientLimits()
        self._trust = trust or Trust()
        if not isinstance(proxy_status, ProxyStatus | None):  # pyright: ignore[reportUnnecessaryIsInstance] - users may get it wrong
            raise TypeError(
                f"Gateway(proxy_status={proxy_status!r}): write ProxyStatus(name=...), or None for no such header"
            )
        self._proxy_status = proxy_status
        self._collector = Collector()
        self._config = GatewayConfig(
            *(self._make_runtime, identity, policies, self._collect),
            on_compiled=self._document,
            redirects=fastapi.get("redirect_slashes", True),
            health=HealthPaths(ready_path, live_path),
        )
        self._routes_seen = 0
        self._documented: list[Route] | None = None  # the routes whose documentation is complete
        self._public_document = PublicDocument()
        fastapi.setdefault("generate_unique_id_function", FunctionNames())
        self._observed = observes(fastapi.get("telemetry"))
        fastapi["exception_handlers"] = exception_handlers(fastapi.get("exception_handlers"))
        super().__init__(lifespan=cast("Any", lifespan), **fastapi)
        self._lifespan = UserLifespan(self.router, given=lifespan is not None)
        self.router.lifespan_context = _lifespan
        guard_first(self.router)
        if self.max_body_size is None:
            # Of the router: on the application it would bound what streams to the services.
            self.router.max_body_size = LOCAL_DEFAULT
        # Innermost of the user's middleware: whatever is added later wraps gateway routes as it wraps FastAPI's.
        self.user_middleware.append(Middleware(Engine, host=self))
        if jwks_path is not None and (sets := self._jwk_sets()):
            publish(self, jwks_path, sets)

    def build_middleware_stack(self) -> ASGIApp:
        """Build FastAPI's stack, with the gateway's answer to a server error unless the user has given one."""
        self.exception_handlers.update(server_error_handler(self.exception_handlers))
        return super().build_middleware_stack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; every request gets its id, and its line in the access log."""
        take_prefix(scope, self._trust, self.root_path)
        await recorded(super().__call__, scope, receive, send, self._config.new_request_id)

    def declare(
        self, methods: Sequence[str], path: str, options: RouteOptions, groups: Sequence[GroupPolicies] = ()
    ) -> Callable[[Stub], Stub]:
        """Declare ``path``: a stub where there is an upstream, else FastAPI's own path operation."""
        self._config.changed()
        return declare(self.router, methods, path, options, groups)

    def declare_forward(self, path: str, options: ForwardOptions, groups: Sequence[GroupPolicies] = ()) -> None:
        """Forward everything under ``path``."""
        self._config.changed()
        declare_forward(self.router, path, options, groups)

    def websocket(
        self,
        path: str,
        name: str | None = None,
        *,
        dependencies: Sequence[Depends] | None = None,
        **options: Unpack[SocketOptions],
    ) -> Callable[[Stub], Stub]:
        """Declare a WebSocket of the gateway's own, of which ``allow`` may say who may call."""
        self._config.changed()
        return declare_websocket(self.router, path, name, dependencies, options)

    def full_path(self, path: str) -> str:
        """Return ``path`` as it is: the gateway has no prefix."""
        return path

    def report(self, problem: str) -> None:
        """Keep ``problem`` until the next compile, which fails with it."""
        self._config.add_problem(problem)

    def declare_group(self, group: GroupPolicies) -> None:
        """Take note of the policies of a group."""
        self._config.changed()
        self._collector.groups.append(group)

    def group(self, prefix: str, **defaults: Unpack[RouteOptions]) -> Group:
        """Return a group of routes that share ``prefix`` and options, such as the upstream; a route's own options win."""
        return Group(self, prefix, defaults)

    def compile(self) -> None:
        """Check and compile everything declared so far; raises DeclarationError with every problem at once."""
        self._config.compile(self._lifespan.problems())

    def declared(self) -> tuple[Route, ...]:
        """Return every gateway route as it was declared, checked, in the order of declaration."""
        self.compile()
        return tuple(self._config.routes)

    def describe(self) -> list[RouteInfo]:
        """Return every gateway route as people see it, and every endpoint of the application's own that has a rule."""
        self.compile()
        middleware = self._foreign_middleware()
        return [
            *(_route_info(route, middleware) for route in self._config.routes),
            *(_local_info(entry) for entry in self._config.local if entry.allow is not None),
        ]

    def local_endpoints(self) -> tuple[LocalEntry, ...]:
        """Return every endpoint of the application's own, in the order of declaration."""
        self.compile()
        return tuple(self._config.local)

    @property
    def routes(self) -> list[BaseRoute]:
        """Return FastAPI's routes. A ``forward`` among them is documented by the gateway, and not by FastAPI."""
        hide_forwards(self.router.routes)
        return self.router.routes

    def openapi(self) -> dict[str, Any]:
        """Return the public document: FastAPI's, with what the gateway answers, who may call, and what is behind forwards."""
        self.active_config()  # what documents a route is known once all is compiled
        if self._public_document.outdated(self.openapi_schema, len(self._config.routes)):
            self.openapi_schema = None
        return self._public_document.completed(super().openapi(), self._facts())

    def complete_openapi(self, document: dict[str, Any]) -> dict[str, Any]:
        """Complete a ``document`` of your own, such as one of FastAPI's ``get_openapi(routes=app.routes, ...)``, in place.

        It gets what ``openapi`` adds; what is there already stays. Return it from a function of your own in the place of
        ``app.openapi``.
        """
        self.active_config()
        self._public_document.complete(document, self._facts())
        return document

    async def load_documents(self) -> None:
        """Ask for the documents that ``forward(document=)`` has the addresses of, where it is time to.

        ``/openapi.json`` does so by itself. It never raises: what fails is a line in the log.
        """
        await self._public_document.load()

    def setup(self) -> None:
        """Add FastAPI's endpoints of the document, and have them wait for documents of services."""
        super().setup()
        if self.openapi_url:
            load_first(self.router.routes, self.openapi_url, self.load_documents)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Mapping[str, Any]]:
        """Compile, run the user's lifespan, and close every connection at the end.

        Servers enter this by themselves. Where the gateway is mounted under another application, whose lifespan is then the
        only one, enter it there.
        """
        self.compile()
        for name in ("uvicorn.error", "hypercorn.error", "asyncio"):
            logger(name)  # servers log the exceptions of endpoints there: without their text, which may repeat input
        runtime = self._config.start()
        own_state = {
            "limen": self,
            "limen.limits": self.limits,
            "limen.bodies": runtime.body_memory,
            "limen.readiness": runtime.readiness,
            "limen.proxy_status": runtime.proxy_status,
        }
        try:
            async with self._lifespan.running(self) as state:
                yield {**(state or {}), **own_state}
        finally:
            await self._config.stop()
            access.LOG.flush()

    def active_config(self) -> ActiveConfig:
        """Return what this event loop has, to look at it. It is compiled first if something was declared since."""
        self._look_for_routes()
        return self._config.active()

    def active_config_of_loop(self) -> ActiveConfig:
        """Return what requests in the running event loop run against now; one without a lifespan gets it by that."""
        self._look_for_routes()
        return self._config.active_of_loop()

    def active_config_of_lifespan(self) -> ActiveConfig:
        """Return the same in an event loop in which the lifespan runs, for less."""
        if len(self.router.routes) != self._routes_seen:  # as below, without a call for each request
            self._config.changed()
        return self._config.active_of_lifespan()

    def _look_for_routes(self) -> None:
        """Take note of what was declared by FastAPI's own means, such as ``mount``."""
        if len(self.router.routes) != self._routes_seen:
            self._config.changed()

    def direct(self) -> bool:
        """Tell whether an engine may answer by itself: no middleware of the application's has to see the request."""
        return not self._foreign_middleware()

    def _make_runtime(self, system: System, keeps_idle: bool) -> Runtime:
        return Runtime(
            self.auth,
            make_network=system.make_network,
            keeps_idle=keeps_idle,
            now=system.now,
            monotonic=system.monotonic,
            trust=self._trust,
            revocations=self._revocations,
            assertion=self._assertion,
            proxy_status=self._proxy_status,
            body_memory=self.limits.body_memory,
            body_silence=self.limits.body_silence,
        )

    def _jwk_sets(self) -> list[JwkSetSource]:
        sets: list[JwkSetSource] = [one.public_jwks for one in self.auth if isinstance(one, Jwt) and not one.symmetric]
        if self._assertion is not None:
            sets.append(self._assertion_jwks)
        return sets

    def _assertion_jwks(self, now: float) -> Mapping[str, Sequence[Mapping[str, str]]]:
        asserter = self._config.runtime.asserter()
        return {"keys": []} if asserter is None else asserter.public(now)

    def _foreign_middleware(self) -> str:
        """Name the middleware that is not the gateway's own."""
        names = [getattr(m.cls, "__name__", str(m.cls)) for m in self.user_middleware if m.cls is not Engine]
        if self._observed:
            names.append("telemetry=")
        return ", ".join(names)

    def _methods(self, route: Route | LocalEntry) -> Methods:
        return self.auth if route.auth is None else route.auth

    def _facts(self) -> Facts:
        return Facts(
            self._config.routes,
            self._methods,
            self._reaches,
            self._config.local,
            chosen_by_user(self.routes),
            revocable=self._revocations is not None,
            problems=self.exception_handlers.get(RequestValidationError) is on_invalid_request,
        )

    def _reaches(self, route: Route, method: str, path: bytes) -> bool:
        found = self.active_config().table.match(method.encode(), path)
        return isinstance(found, Match) and found.plan.route is route

    def _collect(self) -> Collected:
        self._routes_seen = len(self.router.routes)
        collected = self._collector.collect(self.router.routes, app_max_body=self.max_body_size)
        collected.problems += never_served("webhook", self.webhooks.routes)
        collected.problems += self._public_document.set_forwards(collected.forwards, self.openapi_version)
        return collected

    def _document(self) -> None:
        """Complete what FastAPI documents, and bound what it validates, now that all is known."""
        if self._config.routes is self._documented:
            return  # the same, compiled for another event loop
        self._documented = self._config.routes
        self.openapi_schema = None
        own = set(map(id, self.router.routes))
        for route in self._config.routes:
            declared = route.declared_as
            # A route of a router may be another gateway's too; it is completed with the document.
            if isinstance(declared, Declared) and id(declared) in own:
                document(declared, route, self._methods(route), revocable=self._revocations is not None)
        local_checks.bound_validation(self.routes)


def _route_info(route: Route, middleware: str) -> RouteInfo:
    if middleware:
        engine, reason = "asgi", f"middleware sees every request: {middleware}"
    elif route.guard is not None:
        names = route.guard.names if isinstance(route.guard, DependencyGuard) else ""
        engine, reason = "asgi", f"dependencies run before it: {names}"
    else:
        engine, reason = "direct", "nothing stands before the route"
    return RouteInfo(route.methods, route.path, route.service, str(route.allow), engine, reason)


def _local_info(entry: LocalEntry) -> RouteInfo:
    return RouteInfo(entry.methods, entry.path, "-", str(entry.allow), "asgi", entry.kind)


def _lifespan(app: FastAPI) -> AbstractAsyncContextManager[Mapping[str, Any]]:
    assert isinstance(app, Gateway)
    return app.running()
