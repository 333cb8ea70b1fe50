"""Requests that are never repeated at another target, where somebody has said how they are to be.

Retries are on by default, and a POST that is sent once is as it should be: only an upstream with several targets whose
``retry=`` or ``hedge=`` was written by hand says that somebody counts on them.
"""

from collections.abc import Iterator

from limen.checks.finding import Finding, Kind, Place
from limen.checks.subject import Subject, place_of
from limen.runtime.route import Route
from limen.runtime.route_services import is_ever_unsafe
from limen.upstream.declared import Upstream
from limen.upstream.retry import IDEMPOTENT, Hedge, Retry


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each upstream, and each route of one, whose retries were declared and cannot happen."""
    told: set[str] = set()
    for route in subject.routes:
        for upstream in route.upstreams:
            if not _counts_on_retries(upstream):
                continue
            if upstream.name not in told:
                told.add(upstream.name)
                yield from _of_upstream(upstream)
            if (message := _of_route(route, upstream)) is not None:
                yield message
                break


def _counts_on_retries(upstream: Upstream) -> bool:
    declared = upstream.retry != Retry() or upstream.hedge not in (Hedge(), None)
    return declared and upstream.retry is not None and len(upstream.addresses) > 1


def _of_upstream(upstream: Upstream) -> Iterator[Finding]:
    place = Place(name=f"Upstream {upstream.name}", service=upstream.name)
    if upstream.retry is not None and upstream.retry.attempts == 1:
        yield Finding(
            Kind.NEVER_RETRIED,
            place,
            "Retry(attempts=1) repeats nothing: the first attempt is counted, too.",
            "say attempts=2 or more, or retry=None",
        )


def _of_route(route: Route, upstream: Upstream) -> Finding | None:
    retry = upstream.retry
    assert retry is not None
    if retry.attempts == 1:
        return None  # which is told of the upstream
    safe = [method for method in route.methods if method.encode() in IDEMPOTENT]
    if not safe and not route.idempotency_key:
        return Finding(
            Kind.NEVER_RETRIED,
            place_of(route),
            f"{'|'.join(route.methods)} is sent once, whatever the upstream {upstream.name!r} says of retries: only methods "
            "that may be repeated are (RFC 9110 section 9.2.2).",
            "say idempotency_key=True if the service honours Idempotency-Key; if it is to be sent once, acknowledge it",
        )
    with_body = "PUT" in route.methods or (route.idempotency_key and is_ever_unsafe(route))
    streams = route.contract.body is None  # a declared body is held whole, and can always be sent again
    if streams and with_body and route.max_body is not None and route.max_body > retry.body:
        return Finding(
            Kind.NEVER_RETRIED,
            place_of(route),
            f"max_body={route.max_body} is more than the {retry.body} bytes that Retry(body=) of the upstream "
            f"{upstream.name!r} keeps: a request with a larger body is sent once.",
            "raise Retry(body=), or lower max_body; if that is meant so, acknowledge it",
        )
    return None
