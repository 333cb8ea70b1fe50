"""Makes a route of a stub: a function whose signature is the contract, and which a service answers."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from limen.app.hooks import after_hook
from limen.app.local import Registered
from limen.app.openapi import refusals, security
from limen.app.options import OWN_OPTIONS, RouteOptions
from limen.app.signature import contract
from limen.auth.method import Methods
from limen.auth.rules import Rule
from limen.runtime.declared_policies import DeclaredPolicies
from limen.runtime.route import DEFAULT_HELD, Route


def fastapi_options(options: RouteOptions) -> dict[str, Any]:
    """Return the options that are FastAPI's."""
    return {key: value for key, value in options.items() if key not in OWN_OPTIONS}


def register(router: APIRouter, method: str, path: str, stub: Callable[..., Any], options: RouteOptions) -> APIRoute:
    """Register ``stub`` with FastAPI, which reads its signature and documents it."""
    router.add_api_route(path, stub, methods=[method], route_class_override=Registered, **fastapi_options(options))
    registered = router.routes[-1]
    assert isinstance(registered, APIRoute)
    return registered


def stub_route(
    registered: APIRoute,
    method: str,
    path: str,
    stub: Callable[..., Any],
    options: RouteOptions,
    *,
    rule: Rule,
    app_max_body: int | None,
    policies: tuple[DeclaredPolicies, ...],
) -> Route:
    """Return the route that ``stub`` declares. ``app_max_body`` is the ``max_body_size`` of the application.

    Raises TypeError for what a stub cannot have.
    """
    assert "upstream" in options
    after = options.get("after")
    return Route(
        methods=(method,),
        path=path,
        upstream=options["upstream"],
        allow=rule,
        auth=Methods.of(options["auth"]) if "auth" in options else None,
        status=options.get("status_code") or 200,
        rewrite=options.get("rewrite"),
        after=None if after is None else after_hook(after, public=rule.public),
        session_ended_header=options.get("session_ended_header"),
        timeouts=options.get("timeouts"),
        max_answer=options.get("max_answer", DEFAULT_HELD),
        contract=(promised := contract(registered, options.get("body"), after=after is not None)),
        max_body=_max_body(options, app_max_body, held=promised.body is not None),
        policies=policies,
    )


def document(registered: APIRoute, route: Route, methods: Methods) -> None:
    """Add the refusals of ``route`` to its documentation, and how callers prove who they are."""
    registered.responses = {**refusals(route), **registered.responses}
    if not route.allow.public:
        registered.openapi_extra = {"security": security(methods), **(registered.openapi_extra or {})}


def _max_body(options: RouteOptions, app_max_body: int | None, *, held: bool) -> int | None:
    """Return the bound of a request body in bytes: the route's own, else the lower of the application's and the default."""
    if "max_body" in options and options.get("max_body_size") is not None:
        raise TypeError("max_body= and max_body_size= say the same; leave out one of them")
    given = options.get("max_body", options.get("max_body_size"))
    if given is not None or "max_body" in options:
        return given
    default = DEFAULT_HELD if held else None
    return app_max_body if default is None or (app_max_body is not None and app_max_body < default) else default
