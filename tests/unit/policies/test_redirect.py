"""``Redirect``: where clients are sent, and that no client chooses the host."""

from random import Random
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.errors import Fault, Kind
from limen.exchange.policy import Environment, RouteFacts
from limen.http.replies import Reply
from limen.policies import Redirect
from limen.routing.path import check_path
from limen.routing.pattern import Pattern
from limen.routing.table import Match, Table
from policy_requests import request

ENVIRONMENT = Environment(lambda: 0.0, lambda: 0.0, Random(0))


def sent(declared: Redirect, route: str, path: bytes, query: bytes | None = None) -> Reply | Fault:
    return declared.live(ENVIRONMENT).arrive(request(path, query, route=route))


def location(declared: Redirect, route: str, path: bytes, query: bytes | None = None) -> bytes:
    reply = sent(declared, route, path, query)
    assert isinstance(reply, Reply)
    return dict(reply.headers)[b"location"]


@pytest.mark.parametrize(
    ("to", "route", "path", "query", "expected"),
    [
        ("/new", "/old", b"/old", None, b"/new"),
        ("/new", "/old", b"/old", b"", b"/new?"),
        ("/new", "/old", b"/old", b"a=1&b", b"/new?a=1&b"),
        ("/new?c=2", "/old", b"/old", b"a=1", b"/new?c=2&a=1"),
        ("/new#part", "/old", b"/old", b"a=1", b"/new?a=1#part"),
        ("/new/{id}", "/old/{id}", b"/old/a%2Fb%20c", None, b"/new/a%2Fb%20c"),
        ("/{b}/{a}", "/{a}/x/{b:int}", b"/1/x/2", None, b"/2/1"),
        ("/new/{rest}", "/old/{rest:path}", b"/old/a/b%2F/c", None, b"/new/a/b%2F/c"),
        ("/new/{rest}", "/old/{rest:path}", b"/old/", None, b"/new/"),
        ("/{rest}", "/old/{rest:path}", b"/old/", None, b"/"),
        ("/find?q={id}", "/old/{id}", b"/old/a&b=c+d;e%26", None, b"/find?q=a%26b%3Dc%2Bd%3Be%26"),
        ("/find?q={id}&r=1", "/old/{id}", b"/old/a", b"s=2", b"/find?q=a&r=1&s=2"),
        ("/{id}?q=1", "/old/{id}", b"/old/a&b", None, b"/a&b?q=1"),
        ("https://docs.example/{p}", "/docs/{p:path}", b"/docs/a/b", None, b"https://docs.example/a/b"),
        ("http://[::1]:8080/{p}", "/docs/{p:path}", b"/docs/@evil.example", None, b"http://[::1]:8080/@evil.example"),
    ],
)
def test_the_location_of_a_redirect(to: str, route: str, path: bytes, query: bytes | None, expected: bytes) -> None:
    assert location(Redirect(to), route, path, query) == expected


def test_the_query_is_dropped_if_declared_so() -> None:
    assert location(Redirect("/new?c=2", query=False), "/old", b"/old", b"a=1") == b"/new?c=2"


def test_the_whole_answer() -> None:
    assert sent(Redirect("/new", status=308), "/old", b"/old") == Reply(
        308, [(b"location", b"/new"), (b"content-length", b"0"), (b"x-request-id", b"r1")], b""
    )
    reply = sent(Redirect("/new"), "/old", b"/old")
    assert isinstance(reply, Reply)
    assert reply.status == 307


def test_an_empty_rest_of_the_path_makes_no_host() -> None:
    assert sent(Redirect("/{rest}/evil.example"), "/old/{rest:path}", b"/old/") == Fault(Kind.BAD_PATH)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("", "begin with one '/'"),
        ("new", "begin with one '/'"),
        ("//evil.example", "begin with one '/'"),
        ("{to}", "begin with one '/'"),
        ("ftp://a/", "begin with one '/'"),
        ("javascript:alert(1)", "begin with one '/'"),
        ("/\\evil.example", "percent-encode all else"),
        ("/a b", "percent-encode all else"),
        ("/a\r\nx: y", "percent-encode all else"),
        ("/ü", "percent-encode all else"),
        ("/%zz", "percent-encode all else"),
        ("/{a", "percent-encode all else"),
        ("/{}", "is no path parameter"),
        ("/{a:path}", "is no path parameter"),
        ("https://docs.example", "write the host in full"),
        ("https://docs.example{path}", "write the host in full"),
        ("https://{tenant}.example/", "write the host in full"),
        ("https://docs.example:{port}/", "write the host in full"),
        ("https:///path", "write the host in full"),
        ("https://docs.example?q=/", "write the host in full"),
        ("/a?b?c", "one '\\?' and one '#' at most"),
        ("/a#b#c", "one '\\?' and one '#' at most"),
        ("/a#{b}", "no parameter after '#'"),
    ],
)
def test_invalid_locations_are_refused(to: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^Redirect\\(.*{words}"):
        Redirect(to)


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="must not hold a user name or a password") as caught:
        Redirect("https://user:secret@docs.example/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 400])
def test_other_statuses_are_refused(status: int) -> None:
    with pytest.raises(ValueError, match=f"status={status} is none of 301, 302, 303, 307, 308"):
        Redirect("/new", status=status)


def test_a_redirect_needs_its_parameters_and_a_public_route() -> None:
    declared = Redirect("/new/{a}/{b}")
    assert list(declared.check(RouteFacts("GET /{a}/{b}", path_params=frozenset("ab")))) == []
    assert list(declared.check(RouteFacts("GET /{a}", path_params=frozenset("a"), public=False))) == [
        "Redirect answers before the caller is known: the rule of GET /{a} would go unasked; say allow=anyone",
        "Redirect('/new/{a}/{b}'): the path of GET /{a} has no parameter 'b'",
    ]


TARGETS = (
    "/{rest}",
    "/{rest}/",
    "/{rest}/x",
    "/a/{rest}",
    "/a?q={rest}",
    "https://docs.example/{rest}",
    "/{rest}?x=1#y",
)
PIECES = st.sampled_from(
    ["/", "a", "%2F", "%2f", "@", ":", ".", "evil.example", "&", "=", ";", "+", "%5C", "\\", "?", "#", "//"]
)


@given(to=st.sampled_from(TARGETS), rest=st.lists(PIECES, max_size=6).map("".join), query=st.none() | st.just(b"k=v"))
def test_no_path_chooses_another_host_or_another_parameter(to: str, rest: str, query: bytes | None) -> None:
    path = b"/old/" + rest.encode()
    table: Table[Any] = Table([("GET", Pattern.parse("/old/{rest:path}"), 1)])
    if check_path(path) is not None or not isinstance(table.match(b"GET", path), Match):
        return  # never comes here
    reply = sent(Redirect(to), "/old/{rest:path}", path, query)
    if isinstance(reply, Fault):
        return
    there = urlsplit(urljoin("http://shop.example/old/x", dict(reply.headers)[b"location"].decode()))
    assert there.hostname == ("docs.example" if to.startswith("https") else "shop.example")
    expected = [name for name, wanted in (("q", "q={" in to), ("x", "x=1" in to), ("k", query is not None)) if wanted]
    assert [name for name, _ in parse_qsl(there.query, keep_blank_values=True)] == expected


def test_parameters_with_text_around_them_are_filled_in() -> None:
    path = b"/old/a%20b.csv/x%2Fy/z/edit"
    reply = sent(Redirect("/new/{name}/{rest}"), "/old/{name}.csv/{rest:path}/edit", path, None)
    assert not isinstance(reply, Fault)
    assert dict(reply.headers)[b"location"] == b"/new/a%20b/x%2Fy/z"
