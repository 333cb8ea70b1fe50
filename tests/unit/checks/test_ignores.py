"""Findings that are acknowledged, and what is wrong with an acknowledgement."""

import pytest

from limen.checks.finding import Finding, Kind, Place
from limen.checks.ignores import Ignore, split

ROUTE = Place(("GET", "POST"), "/a/{x}", service="orders")
DROPPED = Finding(Kind.REWRITE_DROPS_PARAMETER, ROUTE, "it drops.", "mend it")
OVERLAPS = Finding(Kind.OVERLAPPING_RULES, ROUTE, "it overlaps.", "mend it")
ELSEWHERE = Finding(Kind.OVERLAPPING_RULES, Place(("GET",), "/b", service="users"), "it overlaps.", "mend it")


@pytest.mark.parametrize("place", ["GET /a/{x}", "POST /a/{x}", "GET|POST /a/{x}", "  POST   /a/{x} ", "orders"])
def test_a_place_has_several_names(place: str) -> None:
    counted, ignored = split([DROPPED, OVERLAPS, ELSEWHERE], [Ignore.parse(f"overlapping-rules@{place}")])
    assert (counted, ignored) == ([DROPPED, ELSEWHERE], [OVERLAPS])


@pytest.mark.parametrize("place", ["/a/{x}", "PUT /a/{x}", "GET /a/", "order"])
def test_an_ignore_that_matches_nothing_is_a_finding(place: str) -> None:
    counted, ignored = split([OVERLAPS], [Ignore.parse(f"overlapping-rules@{place}")])
    assert (counted[0], ignored) == (OVERLAPS, [])
    assert counted[1].kind is Kind.UNUSED_IGNORE
    assert counted[1].message == (
        f"overlapping-rules@{place} matches nothing: overlapping-rules is found at GET /a/{{x}}."
    )


def test_what_was_mended_is_told_by_its_ignore() -> None:
    counted, _ = split([], [Ignore.parse("body-on-get@GET /x")] * 2)
    assert [finding.message for finding in counted] == ["body-on-get@GET /x matches nothing."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("overlapping-rules", "names no place; write CODE@"),
        ("overlapping-rules@ ", "names no place"),
        ("overlap@GET /a", "'overlap' is no code of a finding; they are unresolved-model, "),
        ("declaration@GET /a", "cannot be ignored; mend it"),
        ("unused-ignore@--ignore", "cannot be ignored; mend it"),
    ],
)
def test_a_malformed_ignore_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ignore.parse(text)
