"""Health endpoints in the table: what is declared at their paths wins, and what merely matches does not."""

import pytest

from limen.errors import Fault, Kind
from limen.routing.find import find
from limen.routing.pattern import Pattern
from limen.routing.table import LOCAL, HealthEndpoint, Local, Match, MethodNotAllowed, Redirect, Table

READY = HealthEndpoint("/readyz", ready=True)
LIVE = HealthEndpoint("/internal/live", ready=False)


def table(*entries: str) -> Table[str]:
    """Build from ``"METHOD /path"``, with ``LOCAL`` before those of the application."""
    rows: list[tuple[str, Pattern, str | None]] = []
    for entry in entries:
        method, _, path = entry.removeprefix("LOCAL ").partition(" ")
        rows.append((method, Pattern.parse(path), None if entry.startswith("LOCAL ") else entry))
    return Table(rows, health=(READY, LIVE))


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    "entries", [(), ("GET /{path:path}",), ("GET /{name}", "HEAD /{name}"), ("LOCAL * /{path:path}",)]
)
def test_no_pattern_takes_them(entries: tuple[str, ...], method: bytes) -> None:
    found = table(*entries)
    assert found.health == (READY, LIVE)
    assert find(found, method, b"/readyz", b"verbose=1") is READY
    assert find(found, method, b"/internal/live", b"") is LIVE


@pytest.mark.parametrize(
    ("entry", "method", "expected"),
    [
        ("GET /readyz", b"GET", "GET /readyz"),
        ("POST /readyz", b"GET", MethodNotAllowed((b"OPTIONS", b"POST"))),
        ("LOCAL GET /readyz", b"GET", LOCAL),
        ("LOCAL websocket /readyz", b"GET", None),
    ],
)
def test_what_is_declared_at_the_path_has_it(entry: str, method: bytes, expected: object) -> None:
    found = table(entry)
    assert found.health == (LIVE,)
    match = find(found, method, b"/readyz", b"")
    assert (match.plan if isinstance(match, Match) else match) == expected


def test_other_methods_are_those_of_a_path_with_get() -> None:
    alone, behind = table(), table("POST /{path:path}")
    assert find(alone, b"POST", b"/readyz", b"") == MethodNotAllowed((b"GET", b"HEAD", b"OPTIONS"), local=False)
    assert find(alone, b"PURGE", b"/readyz", b"") == Fault(Kind.NOT_IMPLEMENTED)
    match = find(behind, b"POST", b"/readyz", b"")
    assert isinstance(match, Match)
    assert match.plan == "POST /{path:path}"


def test_their_neighbours_are_found_as_ever() -> None:
    found = table("GET /internal/{name}", "LOCAL GET /internal")
    assert find(found, b"GET", b"/readyz/", b"") == Redirect(b"/readyz")
    assert isinstance(find(found, b"GET", b"/internal/alive", b""), Match)
    assert isinstance(find(found, b"GET", b"/internal", b""), Local)
    assert find(found, b"GET", b"/ready", b"") is None


def test_another_spelling_is_the_same_path() -> None:
    assert find(table("GET /{path:path}"), b"GET", b"/%72eadyz", b"") is READY
    twice = find(table("GET /{path:path}"), b"GET", b"/%2572eadyz", b"")
    assert isinstance(twice, Fault)
    assert twice.kind is Kind.BAD_PATH


def test_no_websocket_is_there() -> None:
    found = table("LOCAL websocket /{path:path}")
    assert not found.has_websocket(b"/readyz")
    assert found.has_websocket(b"/elsewhere")
