"""Makes a route of a stub, whose signature is the contract, and of a ``forward``, which has none: a service answers."""

from dataclasses import dataclass, field
from typing import Final, cast

from fastapi.routing import APIRoute, RouteContext

from limen.app.declaration import Declared
from limen.app.dependencies import guard
from limen.app.document.operation import addition, describe
from limen.app.form_limits import FormLimits
from limen.app.hooks import after_hook
from limen.app.options import RouteOptions
from limen.app.signature import contract
from limen.auth.method import Methods
from limen.auth.rules import Rule
from limen.contract.contract import Contract
from limen.runtime.declared_policies import DeclaredPolicies
from limen.runtime.fallback import check_fallback
from limen.runtime.route import DEFAULT_HELD, Route
from limen.runtime.split import Split
from limen.upstream.declared import Upstream


class _Default(int):
    """A number that is another object than any other."""


LOCAL_DEFAULT: Final = _Default(DEFAULT_HELD)
"""The ``max_body_size`` of the application's own endpoints where nobody has said another; known again by its identity."""


@dataclass(frozen=True, slots=True)
class InheritedBounds:
    """``max_body`` is the ``max_body_size`` of the application, in bytes, and ``form_limits`` are those of the routers."""

    max_body: int | None = None
    form_limits: FormLimits = field(default_factory=dict[str, int])


def gateway_route(
    context: RouteContext,
    methods: tuple[str, ...],
    declared: Declared,
    *,
    rule: Rule,
    bounds: InheritedBounds,
    policies: tuple[DeclaredPolicies, ...],
) -> Route:
    """Return the route that a stub or a ``forward`` declares. ``bounds`` hold where it has none of its own.

    Raises TypeError for what such a route cannot have.
    """
    options = declared.options
    assert "upstream" in options
    upstream, fallback, key = options["upstream"], options.get("fallback"), options.get("idempotency_key", False)
    if not isinstance(upstream, Upstream | Split):  # pyright: ignore[reportUnnecessaryIsInstance] - users may get it wrong
        raise TypeError(
            f"upstream={upstream!r} is no Upstream; write Upstream(name, [address]), or Split(stable, canary, share=...)"
        )
    if fallback is not None:
        check_fallback(fallback)
    if not isinstance(key, bool):  # pyright: ignore[reportUnnecessaryIsInstance] - users may get it wrong
        raise TypeError(f"idempotency_key={key!r} is neither True nor False; clients choose the keys they send")
    auth, after = options.get("auth"), options.get("after")
    promised = Contract()
    if declared.forward is None:
        route = cast("APIRoute", context)
        promised = contract(route, options.get("body"), after=after is not None, form_limits=bounds.form_limits)
    return Route(
        methods=methods,
        path=context.path or "",
        upstream=upstream.stable if isinstance(upstream, Split) else upstream,
        split=upstream if isinstance(upstream, Split) else None,
        fallback=fallback,
        idempotency_key=key,
        allow=rule,
        auth=None if auth is None else Methods.of(auth),
        identity=options.get("identity"),
        status=context.status_code or 200,
        rewrite=options.get("rewrite"),
        after=None if after is None else after_hook(after, public=rule.public),
        session_ended_header=options.get("session_ended_header"),
        timeouts=options.get("timeouts"),
        max_answer=options.get("max_answer", DEFAULT_HELD),
        contract=promised,
        max_body=_max_body(options, context.max_body_size, bounds.max_body, held=promised.body is not None),
        policies=policies,
        guard=guard(context),
        declared_as=declared,
    )


def document(declared: Declared, route: Route, methods: Methods, *, revocable: bool) -> None:
    """Add to the documentation of a stub what the gateway may answer, and who may call.

    ``revocable`` says that tokens may end early.
    """
    describe(declared, addition(route, methods, revocable=revocable))


def _max_body(options: RouteOptions, nearest: int | None, app_max_body: int | None, *, held: bool) -> int | None:
    """Return the bound of a request body in bytes: the route's own or its router's, else the application's or the default.

    ``nearest`` is what FastAPI has found of the route and its routers.
    """
    if "max_body" in options:
        if options.get("max_body_size") is not None:
            raise TypeError("max_body= and max_body_size= say the same; leave out one of them")
        return options["max_body"]
    if (own := options.get("max_body_size")) is not None:
        return own
    if nearest is not None and nearest is not LOCAL_DEFAULT and nearest != app_max_body:
        return nearest
    default = DEFAULT_HELD if held else None
    return app_max_body if default is None or (app_max_body is not None and app_max_body < default) else default
