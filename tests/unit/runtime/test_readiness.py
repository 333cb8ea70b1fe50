"""Readiness: what says no, and why; and the paths at which a gateway may be asked."""

import logging

import pytest

from limen import DeclarationError, Gateway
from limen.routing.table import HealthEndpoint
from limen.runtime.health_paths import HealthPaths, declared_endpoints
from limen.runtime.readiness import MOST_REASONS, Readiness
from limen.runtime.state import Runtime


def test_nothing_that_is_checked_is_ready() -> None:
    assert Readiness().reasons() == ()
    assert Runtime().readiness.reasons() == ()


def test_each_check_is_asked_each_time_until_it_is_removed() -> None:
    readiness = Readiness()
    unchecked = ["orders-1", "orders-2"]
    readiness.add("upstream orders", lambda: f"{len(unchecked)} targets were not checked yet" if unchecked else None)
    readiness.add("upstream users", lambda: None)
    assert readiness.reasons() == ("upstream orders: 2 targets were not checked yet",)
    unchecked.pop()
    assert readiness.reasons() == ("upstream orders: 1 targets were not checked yet",)
    unchecked.pop()
    assert readiness.reasons() == ()
    readiness.add("upstream users", lambda: "replaced")
    assert readiness.reasons() == ("upstream users: replaced",)
    readiness.remove("upstream users")
    assert readiness.reasons() == ()
    with pytest.raises(KeyError):
        readiness.remove("upstream users")


def test_who_drains_is_not_ready_and_says_what_else_is_wrong() -> None:
    readiness = Readiness()
    readiness.add("store", lambda: "not reachable")
    readiness.drain()
    readiness.drain()
    assert readiness.draining
    assert readiness.reasons() == ("it drains", "store: not reachable")
    assert repr(readiness) == "<Readiness draining checks=['store']>"


def test_a_check_that_fails_is_no_yes(caplog: pytest.LogCaptureFixture) -> None:
    readiness = Readiness()
    readiness.add("store", lambda: str(1 // 0))
    with caplog.at_level(logging.ERROR):
        assert readiness.reasons() == ("store: its check failed",)
    assert "the check of store failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_reasons_are_bounded() -> None:
    readiness = Readiness()
    for number in range(MOST_REASONS + 5):
        readiness.add(f"upstream {number}", lambda: "no target")
    reasons = readiness.reasons()
    assert len(reasons) == MOST_REASONS + 1
    assert reasons[-1] == "and 5 more"


def test_paths_become_endpoints() -> None:
    problems: list[str] = []
    found = declared_endpoints(HealthPaths("/ready/", "/live"), problems)
    assert found == (HealthEndpoint("/ready/", ready=True), HealthEndpoint("/live", ready=False))
    assert declared_endpoints(HealthPaths("", None), problems) == ()
    assert problems == []


@pytest.mark.parametrize(
    ("ready", "live", "problem"),
    [
        ("readyz", None, "Gateway: ready_path: the path 'readyz' must begin with '/'"),
        ("/{name}", None, "Gateway: ready_path='/{name}' has a parameter; give one path, such as '/healthz'"),
        (None, "/{p:path}", "Gateway: live_path='/{p:path}' has a parameter; give one path, such as '/healthz'"),
        ("/a", "/a", "Gateway: ready_path and live_path are both '/a'; give them different paths"),
        (None, 1, "Gateway: live_path=1 is no path; give a text such as '/healthz', or None for no endpoint"),
    ],
)
def test_what_is_no_path_is_a_declaration_error(ready: str | None, live: str | None, problem: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        Gateway(ready_path=ready, live_path=live).compile()
    assert raised.value.problems == (problem,)
