"""``limen check``: prints what is wrong with a gateway, and how to mend it."""

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import click

from limen.app.gateway import Gateway
from limen.checks.finding import Finding, Kind, Place, Severity
from limen.checks.ignores import Ignore, split
from limen.checks.run import run
from limen.cli.load import import_gateway
from limen.cli.source_location import describe
from limen.errors import DeclarationError

_WIDTH = 100
_COLUMN = 11  # of the code


def check(spec: str, *, ignores: Sequence[str], strict: bool, as_json: bool) -> None:
    """Check the gateway at ``spec``. Errors are status 1, and so are warnings where ``strict``."""
    parsed = [_parse(text) for text in ignores]
    app = import_gateway(spec)
    counted, ignored = split(_findings(spec, app), parsed)
    problems = [f"{finding.place}: {finding.message}" for finding in counted if finding.kind is Kind.DECLARATION]
    fails = any(strict or finding.kind.severity == "error" for finding in counted)
    if as_json:
        click.echo(json.dumps(_document(spec, counted, ignored, fails=fails), indent=2))
    elif problems:  # as every command tells them
        click.echo("".join(f"{line}\n" for line in _places(counted)), nl=False)
        raise click.ClickException(str(DeclarationError(problems)))
    else:
        click.echo("\n".join(_lines(spec, app, counted, ignored, strict=strict)))
    sys.exit(1 if fails else 0)


def _parse(text: str) -> Ignore:
    try:
        return Ignore.parse(text)
    except ValueError as error:
        raise click.UsageError(f"--ignore {error}") from None


def _findings(spec: str, app: Gateway) -> list[Finding]:
    try:
        return run(app)
    except Exception as error:  # of the user's own: a function that makes the document, a type, a policy
        raise click.ClickException(f"{spec} cannot be checked: {describe(error)}") from error


def _document(spec: str, counted: Sequence[Finding], ignored: Sequence[Finding], *, fails: bool) -> dict[str, Any]:
    return {
        "app": spec,
        "ok": not fails,
        "findings": [_object(finding, ignored=False) for finding in counted]
        + [_object(finding, ignored=True) for finding in ignored],
    }


def _object(finding: Finding, *, ignored: bool) -> dict[str, Any]:
    return {
        "code": finding.kind.code,
        "severity": finding.kind.severity,
        "place": str(finding.place),
        "service": finding.place.service,
        "message": finding.message,
        "examples": [{"request": request, "condition": condition or None} for request, condition in finding.examples],
        "mend": finding.mend or None,
        "ignored": ignored,
    }


def _lines(
    spec: str, app: Gateway, counted: Sequence[Finding], ignored: Sequence[Finding], *, strict: bool
) -> Iterator[str]:
    aside = f", {len(ignored)} ignored" if ignored else ""
    if not counted:
        routes = _counted(len(app.describe()), "gateway route")
        yield from _shared_paths(app)
        yield f"{spec}: {routes}, no problem found{aside}."
        return
    yield from _places(counted)
    severities: list[Severity] = [finding.kind.severity for finding in counted]
    if example := next((finding for finding in counted if finding.kind.ignorable), None):
        yield f"What is meant so is acknowledged at its place: --ignore '{example.kind.code}@{example.place.shortest}'"
    errors, warnings = severities.count("error"), severities.count("warning")
    totals = [_counted(count, word) for count, word in ((errors, "error"), (warnings, "warning")) if count]
    note = "" if errors or strict else "; with --strict, warnings fail too"
    yield f"{spec}: {' and '.join(totals)}{aside}{note}."


def _shared_paths(app: Gateway) -> Iterator[str]:
    """Yield a line for each path of which a service answers some methods, and the gateway itself others."""
    local: dict[str, list[str]] = {}
    for entry in app.local_endpoints():
        local.setdefault(entry.path, []).extend(entry.methods)
    served: dict[str, list[str]] = {}
    for route in app.declared():
        if route.path in local:
            served.setdefault(route.path, []).append(f"{' and '.join(route.methods)} by {route.service}")
    for path, by in served.items():
        yield f"{path}: {' and '.join(local[path])} is answered by the gateway itself, {', '.join(by)}."


def _places(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines of ``findings`` by place, without those that do not compile."""
    by_place: dict[Place, list[Finding]] = {}
    for finding in findings:
        if finding.kind is not Kind.DECLARATION:
            by_place.setdefault(finding.place, []).append(finding)
    told: set[str] = set()
    for place, found in by_place.items():
        yield str(place)
        for finding in found:
            yield from _finding(finding, told)
        yield ""


def _finding(finding: Finding, told: set[str]) -> Iterator[str]:
    """Yield the lines of one finding. How to mend it is ``told`` once: a catch-all may overlap with every route."""
    yield f"  {finding.kind.severity:<{_COLUMN - 2}}{finding.kind.code}"
    yield from _wrapped(finding.message)
    width = max((len(request) for request, _ in finding.examples), default=0)
    for request, condition in finding.examples:
        yield f"{' ' * (_COLUMN + 2)}{request:<{width}}  {condition}".rstrip()
    if finding.mend:
        yield from _wrapped("Mend: as above." if finding.mend in told else f"Mend: {finding.mend}.")
        told.add(finding.mend)


def _wrapped(text: str) -> list[str]:
    indent = " " * _COLUMN
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
