"""What is a service's own on a route, and the plans of a route that has several: the sides of a split, and a fallback.

All plans of a route are alike but for what is said here: the live upstream, its timeouts, and who its assertions are for.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from limen.auth.rules import Rule
from limen.contract.answer_hooks import answer_hooks
from limen.contract.edited_answer import AnswerHook
from limen.exchange.principal import Principal
from limen.exchange.request import Request
from limen.http.replies import Reply
from limen.policies.respond import LiveRespond, Respond
from limen.runtime.fallback import replaced_statuses
from limen.runtime.plan import IdentityLines, LiveFallback, Plan, Sides
from limen.runtime.reconcile import Reconciliation
from limen.runtime.route import Route
from limen.runtime.split import Split, chooser
from limen.runtime.state import Runtime
from limen.upstream.declared import Timeouts, Upstream
from limen.upstream.retry import IDEMPOTENT


def check_services(route: Route, path_params: frozenset[str]) -> None:
    """Raise ValueError for what a split, a fallback or ``idempotency_key=`` of ``route`` could never do."""
    if route.split is not None:
        _check_condition(route, route.split, path_params)
    elif isinstance(route.fallback, Upstream) and route.fallback.name == route.upstream.name:
        raise ValueError(
            f"fallback= is the upstream {route.upstream.name!r} itself, which is asked already; name another one, or "
            "Respond(...)"
        )
    if route.idempotency_key:
        if not is_ever_unsafe(route):
            raise ValueError(
                "idempotency_key=True has no effect: each of these methods may be repeated anyhow (RFC 9110 section 9.2.2); "
                "leave it out"
            )
        if all(one.retry is None for one in route.upstreams) and not isinstance(route.fallback, Upstream):
            raise ValueError(
                f"idempotency_key=True lets requests be repeated, and retry=None of the upstream {route.upstream.name!r} "
                "repeats none; leave one of the two out"
            )


def is_ever_unsafe(route: Route) -> bool:
    """Tell whether ``route`` has a method that may not be repeated without a key."""
    return any(method.encode() not in IDEMPOTENT for method in route.methods)


def _check_condition(route: Route, split: Split, path_params: frozenset[str]) -> None:
    rule = split.when
    if not isinstance(rule, Rule):
        return
    if route.allow.public:
        raise ValueError(
            f"Split(when={rule}) asks who is calling, and anyone may call: nobody is ever identified; use header_is(...) or "
            "share=, or say who may call"
        )
    if missing := rule.path_params - path_params:
        raise ValueError(f"Split(when={rule}) needs the path parameter {{{sorted(missing)[0]}}}, which is not there")


def timeouts_at(route: Route, upstream: Upstream, deadline: float | None = None) -> Timeouts:
    """Return the timeouts of ``upstream`` on ``route``. A ``deadline`` that is given has begun at another service."""
    timeouts = route.timeouts or upstream.timeouts
    return timeouts if deadline is None else replace(timeouts, deadline=deadline)


def deadline_name(upstream: Upstream, timeouts: Timeouts) -> bytes:
    """Return the name of the header that tells ``upstream`` how much time is left; empty for none."""
    if timeouts.deadline is None or upstream.deadline_header is None:
        return b""
    return upstream.deadline_header.lower().encode()


def deadline_names(route: Route) -> frozenset[bytes]:
    """Return the names of such headers at all services of ``route``: a client can send none of them."""
    if all(timeouts_at(route, one).deadline is None for one in route.upstreams):
        return frozenset()
    return frozenset(one.deadline_header.lower().encode() for one in route.upstreams if one.deadline_header is not None)


def hooks_at(route: Route, runtime: Runtime, timeouts: Timeouts) -> Mapping[int, AnswerHook]:
    """Return what answers of a service with these ``timeouts`` have to go through on ``route``."""
    return answer_hooks(
        route.contract,
        route.after,
        route.status,
        name=route.name,
        max_answer=route.max_answer,
        validations=runtime.validations,
        seconds=timeouts.first_byte,
    )


class ServicePlans:
    """Makes the plans of one route for its other services."""

    def __init__(
        self, plan: Plan, runtime: Runtime, change: Reconciliation, identity_for: Callable[[str], IdentityLines]
    ) -> None:
        """``plan`` is for ``Route.upstream``; ``identity_for`` gives the lines that tell an upstream who is calling."""
        self._plan = plan
        self._runtime = runtime
        self._change = change
        self._identity_for = identity_for

    def whole(self) -> Plan:
        """Return the plan of the route, which knows the others."""
        split = self._plan.route.split
        return self._with_fallback(self._plan) if split is None else self._of_split(split)

    def _of_split(self, split: Split) -> Plan:
        """Return the plan that each request begins with. It tells no service who is calling: the chosen one's does."""
        plan, access = self._plan, self._plan.access_control
        return replace(
            plan,
            access_control=None if access is None else replace(access, identity_lines=no_lines),
            sides=Sides(
                self._with_fallback(plan),
                self._with_fallback(self._at(split.canary, None)),
                chooser(split, plan.upstream.random),
            ),
        )

    def _with_fallback(self, plan: Plan) -> Plan:
        """Return ``plan`` with the fallback of its route, unless that is its own service: of a split, one side may be."""
        fallback, upstream = plan.route.fallback, plan.upstream.upstream
        if fallback is None or (isinstance(fallback, Upstream) and fallback.name == upstream.name):
            return plan
        other, reply = None, None
        if isinstance(fallback, Upstream):
            other = self._at(fallback, plan.timeouts.deadline)
        else:
            reply = _fixed(fallback)
        return replace(plan, fallback=LiveFallback(other, reply, replaced_statuses(upstream.retry)))

    def _at(self, upstream: Upstream, deadline: float | None) -> Plan:
        """Return the plan for ``upstream``; ``deadline`` is that of the service whose place it takes."""
        plan, access = self._plan, self._plan.access_control
        timeouts = timeouts_at(plan.route, upstream, deadline)
        return replace(
            plan,
            upstream=self._change.upstream(upstream),
            timeouts=timeouts,
            body_silence=self._runtime.body_silence if timeouts.idle is None else timeouts.idle,
            access_control=None
            if access is None
            else replace(access, identity_lines=self._identity_for(upstream.name)),
            answer_hooks=hooks_at(plan.route, self._runtime, timeouts),
            deadline=-1.0 if timeouts.deadline is None else timeouts.deadline,
            deadline_name=deadline_name(upstream, timeouts),
        )


def no_lines(principal: Principal, request_id: str, now: float) -> bytes:
    """Tell nobody who is calling."""
    return b""


def _fixed(respond: Respond) -> Callable[[Request], Reply]:
    return LiveRespond(respond.status, respond.lines, respond.body).arrive
