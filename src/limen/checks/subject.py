"""What is checked: a gateway that compiles, seen from all sides that a check needs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import Mount, WebSocketRoute

from limen.app.declaration import Declared
from limen.app.gateway import Gateway
from limen.auth.method import Methods
from limen.checks.finding import Place
from limen.routing.find import find
from limen.routing.table import Match, Table
from limen.runtime.plan import Plan
from limen.runtime.route import Route


@dataclass(frozen=True)
class Subject:
    """A gateway. Nothing here changes it; what is expensive is made once."""

    app: Gateway

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """All gateway routes, in the order of declaration. Raises DeclarationError where they do not compile."""
        return self.app.declared()

    @cached_property
    def table(self) -> Table[object]:
        """The compiled table: the same that requests are looked up in. What is no ``Plan`` in it is no gateway route."""
        return cast("Table[object]", self.app.active_config().table)

    @cached_property
    def contexts(self) -> tuple[RouteContext, ...]:
        """Everything that FastAPI knows, stubs included, in the order in which it is asked."""
        return tuple(iter_route_contexts(self.app.routes))

    def local(self) -> Iterator[tuple[int, RouteContext]]:
        """Yield what FastAPI itself answers, each with its number in ``contexts``."""
        for number, context in enumerate(self.contexts):
            if not isinstance(context.original_route, Declared):
                yield number, context

    def methods(self, route: Route) -> Methods:
        """Return how callers prove who they are on ``route``."""
        return self.app.active_config().runtime.auth if route.auth is None else route.auth

    def route_of(self, method: str, path: str) -> tuple[Route, Match[object]] | None:
        """Return the gateway route that a request for the raw ``path`` reaches; None if it is refused or reaches none."""
        found = find(self.table, method.encode(), path.encode(), b"")
        if isinstance(found, Match) and isinstance(found.plan, Plan):
            return found.plan.route, found
        return None


def place_of(route: Route) -> Place:
    """Return ``route`` as a place."""
    return Place(route.methods, route.path, service=route.upstream.name)


def place_of_context(context: RouteContext) -> Place:
    """Return an operation, a mount or a WebSocket of FastAPI's as a place."""
    methods = set(context.methods or ())
    if "GET" in methods:
        methods.discard("HEAD")
    path = context.path or "/"
    if isinstance(context.original_route, Mount):
        return Place(name=f"mount {path}")
    if isinstance(context.original_route, WebSocketRoute):
        return Place(name=f"WebSocket {path}")
    return Place(tuple(sorted(methods)), path)


def place_of_operation(subject: Subject, method: str, path: str) -> Place:
    """Return an operation of the document as a place: its gateway route, if it is one."""
    for route in subject.routes:
        if method in route.methods and _documented(route.path) == path:
            return place_of(route)
    return Place((method,), path)


def _documented(path: str) -> str:
    """Return ``path`` as the document has it, without converters."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)
