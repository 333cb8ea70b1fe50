"""``Gateway``: a FastAPI application whose path operations may be stubs that a service answers."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Unpack

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from limen.app import local_checks
from limen.app.config import GatewayConfig
from limen.app.group import Group
from limen.app.jwks import JwkSetSource, publish
from limen.app.local import on_client_disconnect, on_http_exception, on_invalid_request, on_unexpected
from limen.app.openapi import complete
from limen.app.options import OWN_OPTIONS, Allow, Auth, RouteOptions, Stub, Verbs
from limen.app.stub import document, fastapi_options, register, stub_route
from limen.auth.assertion import Assertion
from limen.auth.jwt import Jwt
from limen.auth.method import Methods
from limen.auth.revocation import RevocationStore
from limen.auth.rules import Rule, as_rule
from limen.client.limits import ClientLimits
from limen.client.trust import Trust
from limen.engines.asgi.engine import Engine
from limen.engines.asgi.record import recorded
from limen.exchange.policy import Policy
from limen.exchange.principal import Principal
from limen.observe import access
from limen.observe.redaction import logger
from limen.runtime.declared_policies import DeclaredPolicies
from limen.runtime.host import ActiveConfig
from limen.runtime.revocation_relay import RevocationRelay
from limen.runtime.route import DEFAULT_HELD, Route
from limen.runtime.route_info import RouteInfo
from limen.runtime.state import Runtime
from limen.runtime.system import System
from limen.upstream.declared import Timeouts, Upstream

Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]

EVERY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


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
    - ``policies``: what happens to every request and answer besides, such as ``[Headers(...)]`` (``limen.policies``); those
      of a group or a route come on top, and the nearest wins by kind.
    - ``limits``: those of the clients' side, for servers that use a protocol class of ``limen.engines.direct``.
    - ``trust``: the proxies in front that are believed about their clients, nobody unless given.

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
        limits: ClientLimits | None = None,
        trust: Trust | None = None,
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
        self._user_lifespan = lifespan
        self._config = GatewayConfig(self._make_runtime, identity, policies, on_compiled=self._bound_local_validation)
        fastapi.setdefault("generate_unique_id_function", _function_name)
        super().__init__(lifespan=_lifespan, **fastapi)
        if self.max_body_size is None:
            # Of the router: on the application it would bound what streams to the services.
            self.router.max_body_size = DEFAULT_HELD
        # Innermost of the user's middleware: whatever is added later wraps gateway routes as it wraps FastAPI's.
        self.user_middleware.append(Middleware(Engine, host=self))
        if jwks_path is not None and (sets := self._jwk_sets()):
            publish(self, jwks_path, sets)
        self.add_exception_handler(HTTPException, on_http_exception)
        self.add_exception_handler(RequestValidationError, on_invalid_request)
        self.add_exception_handler(ClientDisconnect, on_client_disconnect)
        self.add_exception_handler(Exception, on_unexpected)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; every request gets its id, and its line in the access log."""
        await recorded(super().__call__, scope, receive, send, self._config.new_request_id)

    def declare(
        self, method: str, path: str, options: RouteOptions, groups: Sequence[DeclaredPolicies] = ()
    ) -> Callable[[Stub], Stub]:
        """Declare ``method path``: a stub where there is an upstream, else FastAPI's own path operation."""
        if "upstream" not in options:
            return self._declare_local(method, path, options, groups)

        def decorate(stub: Stub) -> Stub:
            self._declare_stub(method, path, stub, options, groups)
            return stub

        return decorate

    def declare_policies(self, prefix: str, policies: Sequence[Policy]) -> DeclaredPolicies:
        """Check ``policies`` of a group with ``prefix``."""
        return self._config.declare_group_policies(prefix, policies)

    def group(self, prefix: str, **defaults: Unpack[RouteOptions]) -> Group:
        """Return a group of routes that share ``prefix`` and options, such as the upstream; a route's own options win."""
        return Group(self, prefix, defaults)

    def forward(
        self,
        path: str,
        *,
        upstream: Upstream,
        allow: Allow,
        auth: Auth | None = None,
        rewrite: str | None = None,
        methods: Sequence[str] = EVERY_METHOD,
        timeouts: Timeouts | None = None,
        max_body: int | None = None,
        policies: Sequence[Policy] = (),
    ) -> None:
        """Forward everything under ``path`` (which may end in ``{name:path}``) to ``upstream``; bodies stream both ways.

        ``max_body`` bounds request bodies in bytes; None is the ``max_body_size`` of the application, and without one they
        are unbounded, since they are never held.
        """
        verbs = tuple(method.upper() for method in methods)
        name = f"{'|'.join(verbs)} {path}"
        if (rule := self._rule(name, allow)) is not None:
            self._config.add_route(
                Route(
                    methods=verbs,
                    path=path,
                    upstream=upstream,
                    allow=rule,
                    auth=None if auth is None else Methods.of(auth),
                    rewrite=rewrite,
                    timeouts=timeouts,
                    max_body=self.max_body_size if max_body is None else max_body,
                    policies=(self._config.declare_policies(name, policies),),
                )
            )

    def compile(self) -> None:
        """Check and compile everything declared so far; raises DeclarationError with every problem at once."""
        self._config.compile()

    def declared(self) -> tuple[Route, ...]:
        """Return every gateway route as it was declared, checked, in the order of declaration."""
        self.compile()
        return tuple(self._config.routes)

    def describe(self) -> list[RouteInfo]:
        """Return every gateway route as people see it, in the order of declaration."""
        self.compile()
        middleware = self._foreign_middleware()
        engine = "asgi" if middleware else "direct"
        reason = f"middleware sees every request: {middleware}" if middleware else "nothing stands before the route"
        return [
            RouteInfo(
                methods=route.methods,
                path=route.path,
                upstream=route.upstream.name,
                allow=str(route.allow),
                engine=engine,
                reason=reason,
            )
            for route in self._config.routes
        ]

    def openapi(self) -> dict[str, Any]:
        """Return the public document: FastAPI's, with problems, gateway statuses and bearer security."""
        if self.openapi_schema is None:
            methods = Methods(one for route in self._config.routes for one in self._methods(route))
            self.openapi_schema = complete(super().openapi(), methods)
        return self.openapi_schema

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Mapping[str, Any]]:
        """Compile, run the user's lifespan, and close every connection at the end.

        Servers enter this by themselves. Where the gateway is mounted under another application, whose lifespan is then the
        only one, enter it there.
        """
        self._bound_local_validation()  # and of endpoints that were added since the last compile
        for name in ("uvicorn.error", "hypercorn.error", "asyncio"):
            logger(name)  # servers log the exceptions of endpoints there: without their text, which may repeat input
        runtime = self._config.start()
        own_state = {"limen": self, "limen.limits": self.limits, "limen.bodies": runtime.body_memory}
        try:
            if self._user_lifespan is None:
                yield own_state
            else:
                async with self._user_lifespan(self) as state:
                    yield {**(state or {}), **own_state}
        finally:
            await self._config.stop()
            access.LOG.flush()

    def active_config(self) -> ActiveConfig:
        """Return what this event loop has, to look at it. It is compiled first if something was declared since."""
        return self._config.active()

    def active_config_of_loop(self) -> ActiveConfig:
        """Return what requests in the running event loop run against now; one without a lifespan gets it by that."""
        return self._config.active_of_loop()

    def active_config_of_lifespan(self) -> ActiveConfig:
        """Return the same in an event loop in which the lifespan runs, for less."""
        return self._config.active_of_lifespan()

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
            body_memory=self.limits.body_memory,
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
        return ", ".join(names)

    def _methods(self, route: Route) -> Methods:
        return self.auth if route.auth is None else route.auth

    def _bound_local_validation(self) -> None:
        local_checks.bound_validation(self.routes)

    def _rule(self, name: str, allow: object) -> Rule | None:
        try:
            return as_rule(allow)
        except TypeError as error:
            self._config.add_problems(f"{name}: {error}")
            return None

    def _declare_local(
        self, method: str, path: str, options: RouteOptions, groups: Sequence[DeclaredPolicies]
    ) -> Callable[[Stub], Stub]:
        given = {*options, *(["policies"] if groups else [])}
        if stray := sorted(OWN_OPTIONS & given):
            self._config.add_problems(f"{method} {path}: {', '.join(stray)} given without upstream=; name the service")
        return self.api_route(path, methods=[method], **fastapi_options(options))

    def _declare_stub(
        self,
        method: str,
        path: str,
        stub: Callable[..., Any],
        options: RouteOptions,
        groups: Sequence[DeclaredPolicies],
    ) -> None:
        name = f"{method} {path}"
        if "allow" not in options:
            self._config.add_problems(
                f"{name}: says nothing about who may call; add allow=anyone, signed_in, role(...), scope(...) or a function"
            )
            return
        rule = self._rule(name, options["allow"])
        if rule is None:
            return
        policies = (*groups, self._config.declare_policies(name, options.get("policies", ())))
        registered = register(self.router, method, path, stub, options)
        try:
            route = stub_route(
                *(registered, method, path, stub, options),
                rule=rule,
                app_max_body=self.max_body_size,
                policies=policies,
            )
        except TypeError as error:
            self._config.add_problems(f"{name}: {error}")
            return
        document(registered, route, self._methods(route))
        self._config.add_route(route)


def _function_name(route: APIRoute) -> str:
    return route.name


def _lifespan(app: FastAPI) -> AbstractAsyncContextManager[Mapping[str, Any]]:
    assert isinstance(app, Gateway)
    return app.running()
