"""What a decorator declares, kept on the route that FastAPI makes of it; ``limen.app.collect`` reads it when all is compiled.

A stub is a route of FastAPI's for its documentation and its dependencies: the gateway's table matches requests.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from limen.app.access import LocalRoute, with_caller
from limen.app.group_policies import GroupPolicies
from limen.app.options import OWN_OPTIONS, ForwardOptions, RouteOptions, Stub
from limen.app.placeholder import PLACEHOLDER, is_placeholder

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
        """Match nothing: the gateway's table matches requests."""
        return Match.NONE, {}


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
        problems.append(PLACEHOLDER)
    try:
        endpoint = with_caller(function, guarded="allow" in options)
    except TypeError as error:
        problems.append(str(error))
        endpoint = _refused
    router.add_api_route(
        path, endpoint, methods=list(methods), route_class_override=_local_class(router), **_fastapi_options(options)
    )
    local = router.routes[-1]
    assert isinstance(local, LocalRoute)
    local.options = options
    local.takes_caller = endpoint is not function
    local.problems = problems


def _refused() -> None:
    """Stand for an endpoint that FastAPI cannot read: the gateway does not compile with it."""


def _local_class(router: APIRouter) -> type[LocalRoute]:
    """Return the class of the endpoints of ``router``: that of its own ``route_class`` too."""
    if issubclass(LocalRoute, router.route_class):
        return LocalRoute
    made = _LOCAL_CLASSES.get(router.route_class)
    if made is None:
        made = _LOCAL_CLASSES[router.route_class] = type("LocalRoute", (LocalRoute, router.route_class), {})
    return made


_LOCAL_CLASSES: Final[dict[type[APIRoute], type[LocalRoute]]] = {}


def _fastapi_options(options: RouteOptions) -> dict[str, Any]:
    """Return the options that are FastAPI's."""
    return {key: value for key, value in options.items() if key not in OWN_OPTIONS}
