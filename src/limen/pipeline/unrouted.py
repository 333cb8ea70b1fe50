"""What the gateway answers where its table has found no route: a health endpoint, a redirect, 404, 405, or a bare OPTIONS."""

from limen.errors import Fault, Kind
from limen.exchange.hooks import NO_HOOKS, Hooks
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.http.replies import Reply, allowed, redirect
from limen.pipeline.health import health_answer
from limen.pipeline.steps import preflight
from limen.routing.table import HealthEndpoint, MethodNotAllowed, Redirect
from limen.runtime.host import ActiveConfig

Unrouted = HealthEndpoint | Redirect | MethodNotAllowed | Fault


def hooks_without_route(active: ActiveConfig, found: Unrouted | None, request: Request, outcome: Outcome) -> Hooks:
    """Return the hooks of the policies for what was ``found``: those of the gateway, with two exceptions.

    A preflight has those of the route that it asks about, whose pattern is noted in ``outcome``. A health endpoint has none:
    a limit or a list of addresses must not make an orchestrator end a process that is well.
    """
    if isinstance(found, MethodNotAllowed):
        asked = preflight(active.table, request)
        if asked is not None:
            outcome.route = asked.route.path
            return asked.hooks
    elif isinstance(found, HealthEndpoint):
        outcome.route = found.path
        return NO_HOOKS
    return active.hooks


def answer_without_route(active: ActiveConfig, found: Unrouted, request: Request) -> Reply | Fault:
    """1. Return the answer to what was ``found``."""
    if isinstance(found, Fault):
        return found
    if isinstance(found, HealthEndpoint):
        return health_answer(found, active.runtime.readiness, request.request_id)
    if isinstance(found, Redirect):
        location = request.root + found.path
        if request.query is not None:
            location += b"?" + request.query
        return redirect(location, request.request_id)
    if request.method == b"OPTIONS":
        return allowed(found.allow, request.request_id)
    return Fault(Kind.METHOD_NOT_ALLOWED, headers=((b"allow", b", ".join(found.allow)),))
