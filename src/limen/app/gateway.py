"""``Gateway``: a FastAPI application whose path operations may be stubs that a service answers."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Unpack

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from limen.app import local_checks
from limen.app.config import GatewayConfig
from limen.app.document.documented_forward import ForwardOptions
from limen.app.document.endpoint import load_first
from limen.app.document.operation_ids import FunctionNames, chosen_by_user
from limen.app.document.public_document import Facts, PublicDocument
from limen.app.group import Group
from limen.app.jwks import JwkSetSource, publish
from limen.app.local import on_client_disconnect, on_http_exception, on_invalid_request, on_unexpected
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
from limen.routing.table import Match
from limen.runtime.declared_policies import DeclaredPolicies
from limen.runtime.host import ActiveConfig
from limen.runtime.route import DEFAULT_HELD, Route
from limen.runtime.route_info import RouteInfo
from limen.runtime.state import Runtime
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
        self._revocations = revocations
        self.limits = limits or ClientLimits()
        self._trust = trust or Trust()
        self._user_lifespan = lifespan
        self._config = GatewayConfig(self._make_runtime, identity, policies, on_compiled=self._bound_local_validation)
        self._public_document = PublicDocument()
        fastapi.setdefault("generate_unique_id_function", FunctionNames())
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
        await recorded(super().__call__, scope, receive, send, self._config.runtime.new_request_id)

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
        **documented: Unpack[ForwardOptions],
    ) -> None:
        """Forward everything under ``path`` (which may end in ``{name:path}``) to ``upstream``; bodies stream both ways.

        ``max_body`` bounds request bodies in bytes; None is the ``max_body_size`` of the application, and without one they
        are unbounded, since they are never held.

        It stands in the public document, by default with one operation for each method:

        - ``document``: the service's own document (OpenAPI 3 in JSON), a file such as ``"reports.openapi.json"`` or an
          address such as ``"http://reports:8000/openapi.json"``. Its operations stand there instead, as far as this forward
          reaches them. A file is read by ``compile`` or at start, and a wrong one is a declaration error. An address is asked
          when the gateway's document is; until it answers, the forward is documented without.
        - ``tags``: those of its operations; else those of the service's document, or the name of the upstream.
        - ``name``, ``summary``, ``description``: of the operations that stand for a service without a document.
        - ``include_in_schema``: False leaves it out.
        """
        verbs = tuple(method.upper() for method in methods)
        name = f"{'|'.join(verbs)} {path}"
        if (rule := self._rule(name, allow)) is not None:
            route = Route(
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
            self._config.add_route(route)
            try:
                self._public_document.add_forward(route, documented)
            except (TypeError, ValueError) as error:
                self._config.add_problems(f"{name}: {error}")

    def compile(self) -> None:
        """Check and compile everything declared so far; raises DeclarationError with every problem at once."""
        if wrong := self._public_document.read_files(self.openapi_version):
            self._config.add_problems(*wrong)
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
        """Return the public document: FastAPI's, with what the gateway answers, who may call, and what is behind forwards."""
        if self._public_document.outdated(self.openapi_schema, len(self._config.routes)):
            self.openapi_schema = None
        return self._public_document.completed(super().openapi(), self._facts())

    def complete_openapi(self, document: dict[str, Any]) -> dict[str, Any]:
        """Complete a ``document`` of your own, such as one of FastAPI's ``get_openapi(routes=app.routes, ...)``, in place.

        It gets what ``openapi`` adds; what is there already stays. Return it from a function of your own in the place of
        ``app.openapi``.
        """
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
        """Compile, run the user's lifespan, and close every connection at the end."""
        self.compile()
        self._bound_local_validation()  # and of endpoints that were added since
        for name in ("uvicorn.error", "hypercorn.error", "asyncio"):
            logger(name)  # servers log the exceptions of endpoints there: without their text, which may repeat input
        own_state = {"limen": self, "limen.limits": self.limits, "limen.bodies": self._config.runtime.body_memory}
        try:
            if self._user_lifespan is None:
                yield own_state
            else:
                async with self._user_lifespan(self) as state:
                    yield {**(state or {}), **own_state}
        finally:
            await self._config.restart()
            access.LOG.flush()

    def active_config(self) -> ActiveConfig:
        """Return what requests run against now. It is compiled first if something was declared since."""
        return self._config.active()

    def direct(self) -> bool:
        """Tell whether an engine may answer by itself: no middleware of the application's has to see the request."""
        return not self._foreign_middleware()

    def _make_runtime(self) -> Runtime:
        return Runtime(
            self.auth,
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

    def _facts(self) -> Facts:
        return Facts(
            self._config.routes,
            self._methods,
            self._reaches,
            chosen_by_user(self.routes),
            revocable=self._revocations is not None,
            problems=self.exception_handlers.get(RequestValidationError) is on_invalid_request,
        )

    def _reaches(self, route: Route, method: str, path: bytes) -> bool:
        found = self.active_config().table.match(method.encode(), path)
        return isinstance(found, Match) and found.plan.route == route

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
        document(registered, route, self._methods(route), revocable=self._revocations is not None)
        self._config.add_route(route)


def _lifespan(app: FastAPI) -> AbstractAsyncContextManager[Mapping[str, Any]]:
    assert isinstance(app, Gateway)
    return app.running()
