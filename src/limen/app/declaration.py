"""What a decorator declares, kept on the route that FastAPI makes of it; ``limen.app.collect`` reads it when all is compiled.

A stub is a route of FastAPI's for its documentation alone, and for its dependencies: the gateway's table matches requests.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from limen.app.access import LocalRoute, with_caller
from limen.app.group_policies import GroupPolicies
from limen.app.options import OWN_OPTIONS, ForwardOptions, RouteOptions, Stub
from limen.app.placeholder import is_placeholder
from limen.engines.asgi.guarded import GUARDED

# Options that an endpoint of the application's own may have.
_OF_LOCAL: Final = frozenset(("allow", "auth"))


class Declared(APIRoute):
    """A route of the gateway's as FastAPI knows it: a stub, or a ``forward``. ``problems`` are those of its declaration.

    FastAPI decodes a path before it matches. For a path that the gateway's table refuses, such as ``/admin%2f1``, it would
    run the stub itself, without asking who calls.
    """

    options: RouteOptions
    groups: Sequence[GroupPolicies] = ()
    problems: Sequence[str] = ()
    forward: ForwardOptions | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match nothing: the gateway's table matches requests. Only the asgi engine asks for a route's dependencies."""
        guarded = scope.get(GUARDED)
        if guarded is None or guarded.route is not self:
            return Match.NONE, {}
        params = {
            name: self.param_convertors[name].convert(value) if name in self.param_convertors else value
            for name, value in guarded.params.items()
        }
        return Match.FULL, {"endpoint": self.endpoint, "path_params": params, "route": self}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the dependencies, and then the exchange."""
        await scope[GUARDED].guard(scope, receive, send)


def declare(
    router: APIRouter,
    methods: Sequence[str],
    path: str,
    options: RouteOptions,
    groups: Sequence[GroupPolicies],
) -> Callable[[Stub], Stub]:
    """Return the decorator that declares ``path`` at ``router``: a stub where there is an upstream, else an endpoint."""

    def decorate(function: Stub) -> Stub:
        if "upstream" in options:
            declared = register(router, methods, path, function, options)
            declared.groups = groups
        else:
            _declare_local(router, methods, path, function, options, groups)
        return function

    return decorate


def register(
    router: APIRouter, methods: Sequence[str], path: str, function: Callable[..., Any], options: RouteOptions
) -> Declared:
    """Register ``function`` with FastAPI, which reads its signature and documents it."""
    # Both are added to when it is known who may call.
    given: dict[str, Any] = {
        **_fastapi_options(options),
        "responses": {**(options.get("responses") or {})},
        "openapi_extra": {**(options.get("openapi_extra") or {})},
    }
    router.add_api_route(path, function, methods=list(methods), route_class_override=Declared, **given)
    declared = router.routes[-1]
    assert isinstance(declared, Declared)
    declared.options = options
    return declared


def _declare_local(
    router: APIRouter,
    methods: Sequence[str],
    path: str,
    function: Callable[..., Any],
    options: RouteOptions,
    groups: Sequence[GroupPolicies],
) -> None:
    problems: list[str] = []
    stray = sorted((OWN_OPTIONS & {*options, *(["policies"] if groups else [])}) - _OF_LOCAL)
    if stray:
        problems.append(f"{', '.join(stray)} given without upstream=; name the service")
    elif is_placeholder(function):
        problems.append(
            "the function does nothing, as that of a stub, and there is no upstream=; name the service that answers, or "
            "write what the endpoint does"
        )
    try:
        endpoint = with_caller(function, guarded="allow" in options)
    except TypeError as error:
        problems.append(str(error))
        endpoint = function
    router.add_api_route(
        path, endpoint, methods=list(methods), route_class_override=LocalRoute, **_fastapi_options(options)
    )
    local = router.routes[-1]
    assert isinstance(local, LocalRoute)
    local.options = options
    local.takes_caller = endpoint is not function
    local.problems = problems


def _fastapi_options(options: RouteOptions) -> dict[str, Any]:
    """Return the options that are FastAPI's."""
    return {key: value for key, value in options.items() if key not in OWN_OPTIONS}
