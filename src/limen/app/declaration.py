"""What a decorator declares, kept on the route that FastAPI makes of it; ``limen.app.collect`` reads it when all is compiled.

A stub is a route of FastAPI's for its documentation and its dependencies: the gateway's table matches requests.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from fastapi import APIRouter
from fastapi.exceptions import FastAPIError
from fastapi.params import Depends
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import PydanticUserError
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from limen.app.access import LocalRoute, SocketRule, with_caller
from limen.app.group_policies import GroupPolicies
from limen.app.options import OWN_OPTIONS, ForwardOptions, RouteOptions, SocketOptions, Stub
from limen.app.placeholder import PLACEHOLDER, SOCKET_PLACEHOLDER, is_placeholder

# Options that an endpoint of the application's own may have.
_OF_LOCAL: Final = frozenset(("allow", "auth"))

_OPTIONS: Final = frozenset(RouteOptions.__annotations__)
_OF_FASTAPI: Final = _OPTIONS - OWN_OPTIONS

# What FastAPI and pydantic raise for a signature or an option that they do not take.
_REFUSALS: Final = (FastAPIError, PydanticUserError, AssertionError, NameError, TypeError, ValueError)


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
    problems = [*_unknown(options), *_added(router, methods, path, function, Declared, given)]
    declared = router.routes[-1]
    assert isinstance(declared, Declared)
    declared.options = options
    declared.problems = problems
    return declared


def _declare_local(
    router: APIRouter,
    methods: Sequence[str],
    path: str,
    function: Callable[..., Any],
    options: RouteOptions,
    groups: Sequence[GroupPolicies],
) -> None:
    problems = [*_unknown(options)]
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
    problems += _added(router, methods, path, endpoint, _local_class(router), _fastapi_options(options))
    local = router.routes[-1]
    assert isinstance(local, LocalRoute)
    local.options = options
    local.takes_caller = endpoint is not function
    local.problems = problems


def declare_websocket(
    router: APIRouter,
    path: str,
    name: str | None,
    dependencies: Sequence[Depends] | None,
    options: SocketOptions,
) -> Callable[[Stub], Stub]:
    """Return the decorator that declares a WebSocket of the application's own at ``router``."""

    def decorate(function: Stub) -> Stub:
        problems = [SOCKET_PLACEHOLDER] if is_placeholder(function) else []
        endpoint: Callable[..., Any] = function
        try:
            endpoint = with_caller(function, guarded="allow" in options)
        except TypeError as error:
            problems.append(str(error))
            endpoint = _refused
        given = list(dependencies or ())
        if options or problems:
            rule = SocketRule(options, takes_caller=endpoint is not function, problems=problems)
            given.insert(0, Depends(rule))
        router.add_api_websocket_route(path, endpoint, name, dependencies=given)
        return function

    return decorate


def _added(
    router: APIRouter,
    methods: Sequence[str],
    path: str,
    function: Callable[..., Any],
    kind: type[APIRoute],
    given: Mapping[str, Any],
) -> Iterator[str]:
    """Have ``router`` add a route of ``kind``, and yield why FastAPI does not take it; then an empty one has its place.

    A path that FastAPI does not take, it refuses by itself: no route can have it.
    """
    try:
        router.add_api_route(path, function, methods=list(methods), route_class_override=kind, **given)
    except _REFUSALS as error:
        router.add_api_route(path, _refused, methods=list(methods), route_class_override=kind)
        yield " ".join(str(error).split())


def never_served(what: str, routes: Iterable[BaseRoute]) -> Iterator[str]:
    """Yield a problem for each of ``routes``, a callback or a webhook, that says who answers it or who may call."""
    for context in iter_route_contexts(list(routes)):
        original = context.original_route
        if isinstance(original, Declared | LocalRoute) and (stray := sorted(OWN_OPTIONS & original.options.keys())):
            yield (
                f"the {what} {context.path} has {', '.join(f'{one}=' for one in stray)}, and stands in the document alone: "
                "the gateway does not serve it; leave that out"
            )


def _unknown(options: RouteOptions) -> Iterator[str]:
    """Yield a problem for each option that no route has."""
    for name in sorted(set(options) - _OPTIONS):
        close = get_close_matches(name, _OPTIONS, 1)
        yield f"there is no option {name}=" + (f"; did you mean {close[0]}=?" if close else "; leave it out")


def _refused() -> None:
    """Stand for a function that FastAPI cannot read: the gateway does not compile with it.

    Declared while the gateway runs, it is called all the same. Raises RuntimeError.
    """
    raise RuntimeError("the declaration of this endpoint is wrong, as the log says where it was compiled")


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
    return {key: value for key, value in options.items() if key in _OF_FASTAPI}
