"""The facade: a FastAPI whose path operations may be stubs that a service answers."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Unpack, get_type_hints

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from limen.app import local_checks
from limen.app.group import Group
from limen.app.hooks import after_hook
from limen.app.jwks import JwkSetSource, publish
from limen.app.local import Registered, on_client_disconnect, on_http_exception, on_invalid_request, on_unexpected
from limen.app.openapi import complete, refusals, security
from limen.app.options import OWN_OPTIONS, Allow, Auth, RouteOptions, Stub, Verbs
from limen.app.signature import contract
from limen.auth.assertion import Assertion
from limen.auth.jwt import Jwt
from limen.auth.method import Methods
from limen.auth.revocation import RevocationStore
from limen.auth.rules import Rule, as_rule
from limen.client.limits import ClientLimits
from limen.client.trust import Trust
from limen.engines.asgi.engine import Engine
from limen.engines.asgi.record import recorded
from limen.errors import DeclarationError
from limen.exchange.policy import Policy
from limen.exchange.principal import Principal
from limen.observe import access
from limen.observe.redaction import logger
from limen.runtime.compile import compile_config
from limen.runtime.declared_policies import GATEWAY, DeclaredPolicies, declared_policies
from limen.runtime.host import ActiveConfig
from limen.runtime.route import DEFAULT_HELD, Route
from limen.runtime.route_info import RouteInfo
from limen.runtime.state import Runtime
from limen.upstream.declared import Timeouts, Upstream

_log = logger("limen.app.gateway")

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
    - ``limits``: those of the clients' side, for servers that use a protocol class of ``limen.direct``.
    - ``trust``: the proxies in front that are believed about their clients, nobody unless given.

    ``lifespan`` and every other keyword are FastAPI's. BodyMemory of FastAPI's own endpoints may have 256 KiB, unless the
    ``max_body_size=`` of the endpoint or of its router says otherwise.

    Declaration errors are collected and raised together, as ``limen.errors.DeclarationError``, by ``compile`` or at start.
    What is declared while it runs is served from then on. If it is wrong, the log says why, and what was compiled before
    serves on.
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
        self._identity = identity
        self._assertion = assertion
        self._revocations = revocations
        self.limits = limits or ClientLimits()
        self._trust = trust or Trust()
        self._declared: list[Route] = []
        self._policies, self._problems = declared_policies(GATEWAY, policies)
        self._prefixes: list[str] = []
        self._user_lifespan = lifespan
        self._live: ActiveConfig | None = None
        self._changed = True
        self._wrong: tuple[str, ...] = ()  # of what was declared since ``_live`` was compiled
        self._runtime = self._fresh()
        fastapi.setdefault("generate_unique_id_function", _function_name)
        super().__init__(lifespan=_lifespan, **fastapi)
        if self.max_body_size is None:
            # Of the router: on the application it would bound what streams to the services.
            self.router.max_body_size = DEFAULT_HELD
        # Innermost of the user's middleware: whatever is added later wraps gateway routes as it wraps FastAPI's.
        self.user_middleware.append(Middleware(Engine, host=self))
        if jwks_path is not None and (sets := self._published()):
            publish(self, jwks_path, sets)
        self.add_exception_handler(HTTPException, on_http_exception)
        self.add_exception_handler(RequestValidationError, on_invalid_request)
        self.add_exception_handler(ClientDisconnect, on_client_disconnect)
        self.add_exception_handler(Exception, on_unexpected)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; every request gets its id, and its line in the access log."""
        await recorded(super().__call__, scope, receive, send, self._runtime.new_request_id)

    def declare(
        self, method: str, path: str, options: RouteOptions, groups: Sequence[DeclaredPolicies] = ()
    ) -> Callable[[Stub], Stub]:
        """Declare ``method path``: a stub where there is an upstream, else FastAPI's own path operation."""
        if "upstream" not in options:
            return self._local(method, path, options, groups)

        def decorate(stub: Stub) -> Stub:
            self._stub(method, path, stub, options, groups)
            return stub

        return decorate

    def declare_policies(self, prefix: str, policies: Sequence[Policy]) -> DeclaredPolicies:
        """Check ``policies`` of a group with ``prefix``, and give them their place."""
        self._prefixes.append(prefix)
        count = self._prefixes.count(prefix)
        # Two groups may have one prefix, and what lives of a policy is kept by its place.
        return self._declared_policies(f"group {prefix}" if count == 1 else f"group {prefix} ({count})", policies)

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
            self._change(
                Route(
                    methods=verbs,
                    path=path,
                    upstream=upstream,
                    allow=rule,
                    auth=None if auth is None else Methods.of(auth),
                    rewrite=rewrite,
                    timeouts=timeouts,
                    max_body=self.max_body_size if max_body is None else max_body,
                    policies=(self._declared_policies(name, policies),),
                )
            )

    def compile(self) -> None:
        """Check and compile everything declared so far; raises DeclarationError with every problem at once."""
        if self._changed:
            self._recompile()
        if self._wrong:
            raise DeclarationError(self._wrong)

    def declared(self) -> tuple[Route, ...]:
        """Return every gateway route as it was declared, checked, in the order of declaration."""
        self.compile()
        return tuple(self._declared)

    def describe(self) -> list[RouteInfo]:
        """Return every gateway route as people see it, in the order of declaration."""
        self.compile()
        foreign = self._foreign()
        engine = "asgi" if foreign else "direct"
        reason = f"middleware sees every request: {foreign}" if foreign else "nothing stands before the route"
        return [
            RouteInfo(
                methods=route.methods,
                path=route.path,
                upstream=route.upstream.name,
                allow=str(route.allow),
                engine=engine,
                reason=reason,
            )
            for route in self._declared
        ]

    def openapi(self) -> dict[str, Any]:
        """Return the public document: FastAPI's, with problems, gateway statuses and bearer security."""
        if self.openapi_schema is None:
            methods = Methods(one for route in self._declared for one in self._methods(route))
            self.openapi_schema = complete(super().openapi(), methods)
        return self.openapi_schema

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Mapping[str, Any]]:
        """Compile, run the user's lifespan, and close every connection at the end."""
        self.compile()
        local_checks.bound_validation(self.routes)  # and what was added since
        for name in ("uvicorn.error", "hypercorn.error", "asyncio"):
            logger(name)  # servers log the exceptions of endpoints there: without their text, which may repeat input
        ours = {"limen": self, "limen.limits": self.limits, "limen.bodies": self._runtime.body_memory}
        try:
            if self._user_lifespan is None:
                yield ours
            else:
                async with self._user_lifespan(self) as state:
                    yield {**(state or {}), **ours}
        finally:
            runtime, self._runtime, self._live = self._runtime, self._fresh(), None
            self._changed = True
            await runtime.aclose()
            access.LOG.flush()

    def active_config(self) -> ActiveConfig:
        """Return what requests run against now, compiling it first if something was declared since."""
        if self._changed:
            self._recompile()
        if self._live is None:
            raise DeclarationError(self._wrong)
        return self._live

    def _recompile(self) -> None:
        """Compile; the runtime outlives it, with the connections and verified tokens of what is still declared."""
        self._changed = False
        try:
            self._live = compile_config(
                self._declared,
                runtime=self._runtime,
                identity=self._identity,
                policies=self._policies,
                problems=tuple(self._problems),
            )
        except DeclarationError as error:
            self._wrong = error.problems
            if self._live is not None:
                _log.error("what was declared since the start is not served, what was before serves on: %s", error)
        else:
            self._wrong = ()
            local_checks.bound_validation(self.routes)

    def direct(self) -> bool:
        """Tell whether an engine may answer without going through the application's middleware: there is none."""
        return not self._foreign()

    def _fresh(self) -> Runtime:
        return Runtime(
            self.auth,
            trust=self._trust,
            revocations=self._revocations,
            assertion=self._assertion,
            body_memory=self.limits.body_memory,
        )

    def _published(self) -> list[JwkSetSource]:
        sets: list[JwkSetSource] = [one.public_jwks for one in self.auth if isinstance(one, Jwt) and not one.symmetric]
        if self._assertion is not None:
            sets.append(self._assertion_keys)
        return sets

    def _assertion_keys(self, now: float) -> Mapping[str, Sequence[Mapping[str, str]]]:
        asserter = self._runtime.asserter()
        return {"keys": []} if asserter is None else asserter.public(now)

    def _foreign(self) -> str:
        names = [getattr(m.cls, "__name__", str(m.cls)) for m in self.user_middleware if m.cls is not Engine]
        return ", ".join(names)

    def _methods(self, route: Route) -> Methods:
        return self.auth if route.auth is None else route.auth

    def _most(self, options: RouteOptions, *, held: bool) -> int | None:
        """Return how many bytes a request body may have: as the route says, or the application, or what may be held."""
        if "max_body" in options and options.get("max_body_size") is not None:
            raise TypeError("max_body= and max_body_size= say the same; leave out one of them")
        given = options.get("max_body", options.get("max_body_size"))
        if given is not None or "max_body" in options:
            return given
        usual = DEFAULT_HELD if held else None
        every = self.max_body_size
        return every if usual is None or (every is not None and every < usual) else usual

    def _change(self, route: Route) -> None:
        self._declared.append(route)
        self._changed = True

    def _refuse(self, *problems: str) -> None:
        self._problems += problems
        self._changed = True

    def _declared_policies(self, place: str, policies: object) -> DeclaredPolicies:
        found, problems = declared_policies(place, policies)
        self._refuse(*problems)
        return found

    def _rule(self, name: str, allow: object) -> Rule | None:
        try:
            return as_rule(allow)
        except TypeError as error:
            self._refuse(f"{name}: {error}")
            return None

    def _local(
        self, method: str, path: str, options: RouteOptions, groups: Sequence[DeclaredPolicies]
    ) -> Callable[[Stub], Stub]:
        given = {*options, *(["policies"] if groups else [])}
        if stray := sorted(OWN_OPTIONS & given):
            self._refuse(f"{method} {path}: {', '.join(stray)} given without upstream=; name the service")
        rest: dict[str, Any] = {key: value for key, value in options.items() if key not in OWN_OPTIONS}
        return self.api_route(path, methods=[method], **rest)

    def _stub(
        self,
        method: str,
        path: str,
        stub: Callable[..., Any],
        options: RouteOptions,
        groups: Sequence[DeclaredPolicies],
    ) -> None:
        name = f"{method} {path}"
        assert "upstream" in options
        if "allow" not in options:
            self._refuse(
                f"{name}: says nothing about who may call; add allow=anyone, signed_in, role(...), scope(...) or a function"
            )
            return
        rule = self._rule(name, options["allow"])
        if rule is None:
            return
        status = options.get("status_code") or 200
        rest: dict[str, Any] = {key: value for key, value in options.items() if key not in OWN_OPTIONS}
        self.router.add_api_route(path, stub, methods=[method], route_class_override=Registered, **rest)
        registered = self.router.routes[-1]
        assert isinstance(registered, APIRoute)
        try:
            answer = options.get("response_model", get_type_hints(stub, include_extras=True).get("return"))
            after = options.get("after")
            route = Route(
                methods=(method,),
                path=path,
                upstream=options["upstream"],
                allow=rule,
                auth=Methods.of(options["auth"]) if "auth" in options else None,
                status=status,
                rewrite=options.get("rewrite"),
                after=None if after is None else after_hook(after, public=rule.public),
                session_ended_header=options.get("session_ended_header"),
                timeouts=options.get("timeouts"),
                max_answer=options.get("max_answer", DEFAULT_HELD),
                contract=(promised := contract(registered, answer, options.get("body"), after=after is not None)),
                max_body=self._most(options, held=promised.body is not None),
                policies=(*groups, self._declared_policies(name, options.get("policies", ()))),
            )
        except TypeError as error:
            self._refuse(f"{name}: {error}")
            return
        registered.responses = {**refusals(route), **registered.responses}
        if not rule.public:
            registered.openapi_extra = {"security": security(self._methods(route)), **(registered.openapi_extra or {})}
        self._change(route)


def _function_name(route: APIRoute) -> str:
    return route.name


def _lifespan(app: FastAPI) -> AbstractAsyncContextManager[Mapping[str, Any]]:
    assert isinstance(app, Gateway)
    return app.running()
