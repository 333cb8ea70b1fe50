"""All checks, in order."""

from collections.abc import Callable, Iterator

from limen.app.gateway import Gateway
from limen.checks import (
    document,
    effects,
    models,
    open_issuers,
    overlapping_rules,
    reachability,
    retries,
    rewrites,
)
from limen.checks.finding import Finding, Kind, Place
from limen.checks.subject import Subject
from limen.errors import DeclarationError

Check = Callable[[Subject], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    overlapping_rules.check,
    reachability.check,
    rewrites.check,
    effects.check,
    retries.check,
    open_issuers.check,
    document.check,
)
"""What is looked for in a gateway that compiles. To add a check, add its module here, and its kinds to ``Kind``."""


def run(app: Gateway) -> list[Finding]:
    """Return everything that is wrong with ``app``.

    The types come first: FastAPI builds some of them only when they are needed, and the other checks need them. A gateway
    that does not compile has no further findings.
    """
    subject = Subject(app)
    findings = list(models.check(subject))
    try:
        app.compile()
    except DeclarationError as error:
        return [*findings, *map(_declaration, error.problems)]
    except Exception:
        if findings:  # it is about the same types
            return findings
        raise
    checks = [one for one in CHECKS if not (findings and one is document.check)]
    return [*findings, *(finding for one in checks for finding in one(subject))]


def _declaration(problem: str) -> Finding:
    place, colon, message = problem.partition(": ")
    if not colon:
        place, message = "Gateway", problem
    return Finding(Kind.DECLARATION, Place(name=place), message, "")
