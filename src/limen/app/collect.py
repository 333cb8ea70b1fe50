"""Reads what is declared from FastAPI's own routes, in the order of declaration: those of included routers too.

Each stub and ``forward`` becomes a route of the gateway, and each endpoint of the application's own an entry of the table
without a plan. Whatever is wrong with one is a problem, and the others are read nevertheless.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.convertors import CONVERTOR_TYPES
from starlette.routing import BaseRoute, Host, Mount, WebSocketRoute
from starlette.routing import Route as StarletteRoute

from limen.app.access import LocalRoute, SocketRule, asks_for_caller, socket_rule
from limen.app.declaration import Declared, never_served
from limen.app.dependencies import documents_schemes
from limen.app.form_limits import router_form_limits
from limen.app.group_policies import GroupPolicies
from limen.app.options import ForwardOptions, RouteOptions, SocketOptions
from limen.app.placeholder import PLACEHOLDER, SOCKET_PLACEHOLDER, is_placeholder
from limen.app.router import Router
from limen.app.stub import InheritedBounds, gateway_route
from limen.auth.method import Methods
from limen.auth.rules import Rule, as_rule
from limen.routing.table import ANY, WEBSOCKET
from limen.runtime.declared_policies import DeclaredPolicies, declared_policies
from limen.runtime.local_route import LocalEntry
from limen.runtime.route import Route

_NOBODY_ASKED = (
    "a dependency takes limen.caller, and nobody is asked who is calling; add allow=signed_in or another rule, or leave the "
    "dependency out"
)
_NEVER_SERVED = frozenset(("CONNECT", "TRACE"))


@dataclass(slots=True)
class Collected:
    """What was found. ``entries`` has routes and local endpoints, in the order of declaration."""

    entries: list[Route | LocalEntry] = field(default_factory=list[Route | LocalEntry])
    problems: list[str] = field(default_factory=list[str])
    forwards: list[tuple[Route, ForwardOptions]] = field(default_factory=list[tuple[Route, ForwardOptions]])

    @property
    def routes(self) -> list[Route]:
        """The gateway's routes."""
        return [one for one in self.entries if isinstance(one, Route)]

    def is_as(self, other: "Collected") -> bool:
        """Tell whether ``other`` has the very same entries, and the same problems."""
        return self.problems == other.problems and list(map(id, self.entries)) == list(map(id, other.entries))


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of one of FastAPI's routes. It is kept, with its dependant: others could get their ids."""

    route: BaseRoute
    dependant: object
    entry: Route | LocalEntry | None
    problems: tuple[str, ...]
    forward: ForwardOptions | None


class Collector:
    """Reads the routes of one application. What was read once stays as it is.

    ``groups`` are those that were declared, with routes or without.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._read: dict[tuple[int, int, str], _Read] = {}
        self._declared_groups: dict[int, tuple[GroupPolicies, DeclaredPolicies, list[str]]] = {}
        self._prefixes: list[str] = []
        self.groups: list[GroupPolicies] = []

    def collect(self, routes: Sequence[BaseRoute], *, app_max_body: int | None) -> Collected:
        """Read ``routes``. ``app_max_body`` is the ``max_body_size`` of the application."""
        collected = Collected()
        read: dict[tuple[int, int, str], _Read] = {}
        limits = router_form_limits(routes)
        for context in iter_route_contexts(routes):
            # A router may be included twice, and again with other dependencies: FastAPI makes a new dependant of it then.
            dependant: object = getattr(context, "dependant", None)
            key = (id(context.original_route), id(dependant), context.path or "")
            known = self._read.get(key)
            if known is None:
                problems: list[str] = []
                bounds = InheritedBounds(app_max_body, limits.get(id(_effective(context)), {}))
                entry = self._entry(context, bounds, problems)
                known = _Read(context.original_route, dependant, entry, tuple(problems), _documentation(context))
            read[key] = known
            if known.entry is not None:
                collected.entries.append(known.entry)
            if known.forward is not None and isinstance(known.entry, Route):
                collected.forwards.append((known.entry, known.forward))
            collected.problems += known.problems
        self._read = read
        of_groups = [problem for group in self.groups for problem in self._group(group)[2]]
        collected.problems = [*of_groups, *collected.problems, *_hidden(routes)]
        return collected

    def _entry(self, context: RouteContext, bounds: InheritedBounds, problems: list[str]) -> Route | LocalEntry | None:
        original: Any = context.original_route
        if isinstance(original, Declared):
            return self._declared(context, original, bounds, problems)
        if isinstance(original, Host):
            problems.append(
                f"host {original.host!r}: the routes of a gateway are the same for every host, and would come before it; "
                "mount the application under a path, or serve it beside the gateway"
            )
            return None
        return _local(context, original, problems)

    def _declared(
        self, context: RouteContext, declared: Declared, bounds: InheritedBounds, problems: list[str]
    ) -> Route | None:
        options = declared.options
        methods = tuple(sorted(context.methods or (), key=_method_order))
        name = f"{'|'.join(methods)} {context.path}"
        problems += [f"{name}: {one}" for one in (*declared.problems, *_unserved(methods, context))]
        if "allow" not in options:
            problems.append(
                f"{name}: says nothing about who may call; add allow=anyone, signed_in, role(...), scope(...) or a function"
            )
            return None
        rule = _rule(name, options["allow"], problems)
        if rule is None or declared.problems:
            return None
        if rule.public and asks_for_caller(context.dependant):
            problems.append(f"{name}: {_NOBODY_ASKED}")
        own, found = declared_policies(name, options.get("policies", ()))
        problems += found
        for group in declared.groups:
            if not any(group is one for one in self.groups):
                self.groups.append(group)  # of a router
        policies = (*(self._group(one)[1] for one in declared.groups), own)
        try:
            return gateway_route(context, methods, declared, rule=rule, bounds=bounds, policies=policies)
        except (TypeError, ValueError, NameError) as error:
            problems.append(f"{name}: {error}")
            return None

    def _group(self, group: GroupPolicies) -> tuple[GroupPolicies, DeclaredPolicies, list[str]]:
        known = self._declared_groups.get(id(group))
        if known is None:
            self._prefixes.append(group.prefix)
            count = self._prefixes.count(group.prefix)
            # Live policies are kept by place, and two groups may have one prefix.
            place = f"group {group.prefix}" if count == 1 else f"group {group.prefix} ({count})"
            known = self._declared_groups[id(group)] = (group, *declared_policies(place, group.given))
        return known


def hide_forwards(routes: Sequence[BaseRoute]) -> None:
    """Keep FastAPI from documenting each ``forward`` of ``routes`` by itself."""
    for context in iter_route_contexts(routes):
        declared = context.original_route
        if isinstance(declared, Declared) and declared.forward is not None:
            _hide(context)


def _hide(context: RouteContext) -> bool:
    """Keep FastAPI from documenting ``context``; tell whether it would have, as its routers and their inclusions say."""
    effective = _effective(context)
    shown: bool | None = getattr(effective, "limen_shown", None)
    if shown is None:
        shown = effective.limen_shown = bool(effective.include_in_schema)
        effective.include_in_schema = False
    return shown


def _effective(context: RouteContext) -> Any:
    return context._effective_route  # pyright: ignore[reportPrivateUsage] - nothing public has it


def _documentation(context: RouteContext) -> ForwardOptions | None:
    """Return how a ``forward`` is documented, as its routers and their inclusions say; None for any other route.

    FastAPI itself documents none: what it has found out is taken from it.
    """
    declared = context.original_route
    if not isinstance(declared, Declared) or declared.forward is None:
        return None
    shown = _hide(context)
    options: ForwardOptions = {**declared.forward}
    if not shown and options.get("include_in_schema", True):
        return {"upstream": options["upstream"], "allow": options["allow"], "include_in_schema": False}
    if context.tags and not isinstance(options.get("tags"), str):
        options["tags"] = list(context.tags)
    return options


def _rule(name: str, allow: object, problems: list[str]) -> Rule | None:
    try:
        return as_rule(allow)
    except TypeError as error:
        problems.append(f"{name}: {error}")
        return None


def _method_order(method: str) -> tuple[int, str]:
    order = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return (order.index(method) if method in order else len(order), method)


def _unserved(methods: Sequence[str], context: RouteContext) -> Iterator[str]:
    yield from never_served("callback", getattr(context, "callbacks", None) or ())  # a route of Starlette's has none
    for method in _NEVER_SERVED.intersection(methods):
        yield f"{method} is never served: it reaches no route and no endpoint; leave it out"


def _local(context: RouteContext, original: BaseRoute, problems: list[str]) -> LocalEntry | None:
    path = context.path
    if path is None:
        return None  # a route of a kind of its own: FastAPI's router asks it where nothing else is found
    converters = {name: one.regex for name, one in CONVERTOR_TYPES.items()}
    if isinstance(original, Mount):
        if isinstance(original.app, Router):
            problems.append(
                f"mount {path or '/'}: a limen.Router that is mounted serves no stub, and its rules are not known; use "
                "include_router(router, prefix=...)"
            )
        return LocalEntry((ANY,), f"{path}/{{path:path}}", converters, "a mounted application")
    if isinstance(original, WebSocketRoute):
        socket = socket_rule(original)
        if socket is None and is_placeholder(original.endpoint):
            problems.append(f"WebSocket {path}: {SOCKET_PLACEHOLDER}")
        rule, auth = _ruled(f"WebSocket {path}", socket, getattr(context, "dependant", None), problems)
        return LocalEntry((WEBSOCKET,), path, converters, "a WebSocket", socket, rule, auth)
    if not isinstance(original, StarletteRoute):
        return None
    methods = tuple(sorted(context.methods or (ANY,), key=_method_order))
    name = f"{'|'.join(methods)} {path}"
    problems += [f"{name}: {one}" for one in _unserved(methods, context)]
    local = original if isinstance(original, LocalRoute) else None
    rule, auth = _ruled(name, local, getattr(context, "dependant", None), problems)
    if local is None and isinstance(original, APIRoute) and is_placeholder(original.endpoint):
        problems.append(f"{name}: {PLACEHOLDER}")
    secured = local is not None and documents_schemes(context)
    return LocalEntry(methods, path, converters, "an endpoint of FastAPI's", local, rule, auth, secured)


def _ruled(
    name: str, local: LocalRoute | SocketRule | None, dependant: Dependant | None, problems: list[str]
) -> tuple[Rule | None, Methods | None]:
    """Return who may call an endpoint, and the methods by which callers prove who they are; ``local`` is what says so."""
    options: RouteOptions | SocketOptions = {} if local is None else local.options
    problems += [f"{name}: {one}" for one in (() if local is None else local.problems)]
    rule, auth = None, None
    if "allow" in options:
        rule = _rule(name, options["allow"], problems)
        if rule is not None and rule.public and local is not None and local.takes_caller:
            problems.append(
                f"{name}: the endpoint takes a Principal, and anyone may call: nobody is asked who is calling; say who may "
                "call, or leave the parameter out"
            )
    elif dependant is not None and asks_for_caller(dependant):
        problems.append(f"{name}: {_NOBODY_ASKED}")
    if "auth" in options:
        auth = Methods.of(options["auth"])
        if rule is None:
            problems.append(f"{name}: auth= says how callers prove who they are, and nobody asks; add allow=")
    return rule, auth


def _hidden(routes: Sequence[BaseRoute]) -> Iterator[str]:
    """Yield a problem for each endpoint that FastAPI's router never reaches: an earlier one takes all of its requests."""
    earlier: dict[str, list[_Endpoint]] = {}  # those with parameters, by their first segment
    for context in iter_route_contexts(routes):
        original = context.original_route
        if isinstance(original, Declared) or not isinstance(original, StarletteRoute | Mount):
            continue
        path, methods = context.path or "/", frozenset(context.methods or ())
        first = path.split("/")[1] if path.startswith("/") else ""
        if "{" in path or isinstance(original, Mount):
            key = _ANYWHERE if "{" in first or first == "" else first
            earlier.setdefault(key, []).append(_Endpoint(path, methods, context.path_regex))
            continue
        for other in (*earlier.get(first, ()), *earlier.get(_ANYWHERE, ())):
            if (not other.methods or methods <= other.methods) and other.regex.match(path):
                yield (
                    f"{'|'.join(sorted(methods))} {path}: can never be reached, since FastAPI takes the first that fits, "
                    f"and {other.path} is declared before it; declare it after {path}"
                )
                break


class _Endpoint(NamedTuple):
    path: str
    methods: frozenset[str]
    regex: re.Pattern[str]


_ANYWHERE: Final = "{}"
