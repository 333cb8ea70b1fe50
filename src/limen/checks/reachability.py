"""Routes, endpoints, mounts and WebSockets that no request reaches.

Nothing is matched here: the compiled table is asked first, as an engine does, and then FastAPI's own routes in their order.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from fastapi.routing import RouteContext
from starlette.routing import Match as StarletteMatch
from starlette.routing import Mount, Route, WebSocketRoute

from limen.checks.finding import Finding, Kind
from limen.checks.sample_paths import samples
from limen.checks.subject import Subject, place_of, place_of_context
from limen.routing.find import find
from limen.routing.table import Match, MethodNotAllowed, Redirect
from limen.runtime.plan import Plan

_PARAMETER = re.compile(r"\{\w+(?::(\w+))?\}")

# Values of path parameters that no literal path has by chance, by converter. An endpoint is hidden where both are.
_UNLIKELY: Final = (
    {"int": "914003", "float": "914003.25", "uuid": "91400391-4003-4914-8003-914003914003", "path": "limen/check"},
    {"int": "27182", "float": "27182.5", "uuid": "27182271-8227-4182-8718-271822718227", "path": "any"},
)
_UNLIKELY_TEXTS: Final = ("limen-check", "any-other")


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each route and endpoint that is never reached."""
    yield from _routes(subject)
    yield from _local(subject)


def _routes(subject: Subject) -> Iterator[Finding]:
    for route in subject.routes:
        if not route.methods:
            yield Finding(
                Kind.UNREACHABLE_ROUTE, place_of(route), "it names no method.", "name one in methods=, or take it out"
            )
            continue
        taken: dict[str, str] = {}
        for method in route.methods:
            found = [subject.route_of(method, sample.path) for sample in samples(route)]
            if any(one is not None and one[0] is route for one in found):
                break
            taken |= {one[0].name: method for one in found if one is not None}
        else:
            by = f"its requests are answered by {' and '.join(taken)}." if taken else "the gateway refuses its paths."
            yield Finding(Kind.UNREACHABLE_ROUTE, place_of(route), by, "change its path or methods, or take it out")


def _local(subject: Subject) -> Iterator[Finding]:
    for number, context in subject.local():
        if not isinstance(context.original_route, Route | WebSocketRoute | Mount):
            continue
        websocket = isinstance(context.original_route, WebSocketRoute)
        methods = sorted(set(context.methods or ()) - {"HEAD"}) or ["GET"]
        hidden: dict[str, list[str]] = {}
        for method in methods:
            before = {_before(subject, number, method, path, websocket=websocket) for path in _paths(context)}
            if len(before) == 1 and (what := before.pop()) is not None:
                hidden.setdefault(what, []).append(method)
        for what, answered in hidden.items():
            part = "" if answered == methods else f" of {', '.join(answered)}"
            yield Finding(
                Kind.UNREACHABLE_ENDPOINT,
                place_of_context(context),
                f"no request{part} reaches it: {what}",
                "give one of the two another path, or, if both are local, declare this one first",
            )


def _paths(context: RouteContext) -> Iterator[str]:
    path = context.path or ""
    if isinstance(context.original_route, Mount):
        path = f"{path.rstrip('/')}/{{path:path}}"
    for values, text in zip(_UNLIKELY, _UNLIKELY_TEXTS, strict=True):
        yield _PARAMETER.sub(lambda match: values.get(match[1] or "", text), path)  # noqa: B023 - it is called here


def _before(subject: Subject, number: int, method: str, path: str, *, websocket: bool) -> str | None:
    """Return, as half a sentence, what answers ``path`` before the endpoint ``number`` does; None if that one does."""
    if not websocket:
        found = find(subject.table, method.encode(), path.encode(), b"")
        if isinstance(found, Match):
            return f"{found.plan.route.name} takes it." if isinstance(found.plan, Plan) else None
        if isinstance(found, MethodNotAllowed):
            return "a gateway route has its path with other methods, and answers 405."
        if isinstance(found, Redirect):
            return f"a gateway route has {found.path.decode()}, where its requests are sent."
    scope: dict[str, Any] = {
        "type": "websocket" if websocket else "http",
        "method": method,
        "path": path,
        "headers": [],
    }
    for other, context in enumerate(subject.contexts[: number + 1]):
        if other == number:
            return None
        if context.matches({**scope, "path_params": {}, "root_path": ""})[0] is StarletteMatch.FULL:
            return f"{place_of_context(context)}, declared before, takes it."
    return None
