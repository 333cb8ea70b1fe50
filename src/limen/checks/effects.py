"""Options that can have no effect, or not the one that they are for."""

from collections.abc import Iterator
from dataclasses import fields

from limen.auth.api_keys import ApiKeys
from limen.checks.finding import Finding, Kind, Place
from limen.checks.subject import Subject, place_of
from limen.fairness.body_memory import BodyMemory
from limen.runtime.declared_policies import DeclaredPolicies, effective_policies, policy_kind
from limen.runtime.route import DEFAULT_HELD, Route
from limen.upstream.declared import Timeouts, Upstream


def check(subject: Subject) -> Iterator[Finding]:
    """Yield the findings about bodies, answers, timeouts and policies."""
    most = BodyMemory.within(subject.app.limits.body_memory).most
    for route in subject.routes:
        yield from _bodies(route, most)
        if route.timeouts is not None:
            yield from _beyond_total(place_of(route), route.timeouts)
    yield from _upstreams(subject)
    yield from _policies(subject.routes)


def _bodies(route: Route, most: int) -> Iterator[Finding]:
    contract = route.contract
    held = contract.body is not None
    if (held or contract.streamed is not None) and {"GET", "HEAD"} & set(route.methods):
        yield Finding(
            Kind.BODY_ON_GET,
            place_of(route),
            "a GET has a body here, which browsers do not send, and which caches and proxies drop (RFC 9110 section 9.3.1).",
            "take the values from the query, or declare a POST",
        )
    if held and route.max_body is not None and route.max_body > most:
        yield Finding(
            Kind.MAX_BODY_UNREACHABLE,
            place_of(route),
            f"max_body={route.max_body} is more than the {most} bytes that all bodies together may have, three eighths of "
            "ClientLimits(body_memory=): a body of that size is always refused.",
            "lower max_body, or raise body_memory",
        )
    checked = contract.answer is not None or contract.answers or contract.rest is not None or route.after is not None
    if route.max_answer != DEFAULT_HELD and not checked:
        yield Finding(
            Kind.MAX_ANSWER_UNUSED,
            place_of(route),
            f"max_answer={route.max_answer} bounds answers that are checked, and those of this route stream unread.",
            "declare a model or after=, or take max_answer out",
        )


def _upstreams(subject: Subject) -> Iterator[Finding]:
    upstreams: dict[str, Upstream] = {}
    for one in (one for route in subject.routes for one in route.upstreams):
        upstreams.setdefault(one.name, one)
    methods = [method for route in subject.routes for method in subject.methods(route)]
    asked_for_keys = {method.upstream.name for method in methods if isinstance(method, ApiKeys)}
    for name, upstream in upstreams.items():
        place = Place(name=f"Upstream {name}", service=name)
        yield from _beyond_total(place, upstream.timeouts)
        own = [route for route in subject.routes if any(one.name == name for one in route.upstreams)]
        if (
            upstream.timeouts != Timeouts()
            and name not in asked_for_keys
            and all(route.timeouts is not None for route in own)
        ):
            yield Finding(
                Kind.TIMEOUTS_UNUSED,
                place,
                "its timeouts= take no effect: every route of it has timeouts= of its own.",
                "take them out here, or take timeouts= out of the routes that should have these",
            )


def _beyond_total(place: Place, timeouts: Timeouts) -> Iterator[Finding]:
    """Yield a finding for each timeout that was given and never ends anything. A default that does not is no fault."""
    for one in fields(timeouts):
        seconds = getattr(timeouts, one.name)
        if one.name != "total" and timeouts.total is not None and seconds != one.default and seconds > timeouts.total:
            yield Finding(
                Kind.TIMEOUT_UNREACHABLE,
                place,
                f"Timeouts({one.name}={seconds:g}) never ends a call, because total={timeouts.total:g} ends it first.",
                f"lower {one.name}, raise total, or take {one.name} out",
            )


def _policies(routes: tuple[Route, ...]) -> Iterator[Finding]:
    layers: dict[int, DeclaredPolicies] = {}
    effective: set[tuple[int, int]] = set()
    for route in routes:
        applied = {id(policy) for _, policy in effective_policies(route.policies)}
        for layer in route.policies:
            layers[id(layer)] = layer
            effective |= {(id(layer), id(policy)) for policy in layer.policies if id(policy) in applied}
    for key, layer in layers.items():
        for policy in layer.policies:
            if (key, id(policy)) not in effective:
                yield Finding(
                    Kind.POLICY_UNUSED,
                    Place(name=layer.place),
                    f"its {policy_kind(policy)} is replaced on every route by a nearer one of its kind, and applies to none.",
                    "take it out, or take the nearer ones out",
                )
