"""``rewrite`` templates that leave out what the client asks for."""

from collections.abc import Iterator

from limen.checks.finding import Finding, Kind
from limen.checks.subject import Subject, place_of
from limen.routing.pattern import Pattern
from limen.routing.rewrite import Rewrite


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each rewrite that drops a parameter of its path."""
    for route in subject.routes:
        if route.rewrite is None:
            continue
        names = Pattern.parse(route.path).names
        kept = Rewrite.parse(route.rewrite, frozenset(names)).parts
        dropped = " and ".join(f"{{{name}}}" for name in names if name not in kept)
        if dropped:
            yield Finding(
                Kind.REWRITE_DROPS_PARAMETER,
                place_of(route),
                f"rewrite={route.rewrite!r} leaves out {dropped}: the service never learns which one is asked for.",
                f"put {dropped} into rewrite; if the service needs no such value, acknowledge it",
            )
