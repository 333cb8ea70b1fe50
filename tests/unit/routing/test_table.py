"""The routing table: precedence, methods, slashes, encodings, clashes, and agreement with Starlette's router."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match as Found
from starlette.routing import Route, Router

from limen.errors import Fault, Kind
from limen.routing.find import find
from limen.routing.matcher import TOO_LONG, raw_values
from limen.routing.path import check_path
from limen.routing.pattern import Pattern
from limen.routing.table import LOCAL, MOST_SPECIALS, Local, Match, MethodNotAllowed, Redirect, Table


def table(*entries: str, redirects: bool = True) -> Table[str]:
    """Build from ``"METHOD /path"``; the plan of an entry is its own text, and there is none behind ``LOCAL``."""
    split = [(entry.removeprefix("LOCAL "), entry.startswith("LOCAL ")) for entry in entries]
    return Table(
        [
            (entry.partition(" ")[0], Pattern.parse(entry.partition(" ")[2]), None if local else entry)
            for entry, local in split
        ],
        redirects=redirects,
    )


def plan(found: Table[str], method: str, raw: str) -> str | None:
    match = found.match(method.encode(), raw.encode())
    return match.plan if isinstance(match, Match) else None


SHOP = table(
    "GET /",
    "GET /users",
    "POST /users",
    "GET /users/me",
    "GET /users/{user_id}",
    "DELETE /users/{id}",
    "GET /users/{user_id}/orders",
    "GET /users/me/{what}/x",
    "GET /users/{user_id}/{what}/y",
    "GET /files/{path:path}",
    "GET /files/special",
    "GET /files/{name}/info",
    "POST /upload/",
    "GET /@me",
    "GET /{name}",
)


@pytest.mark.parametrize(
    ("raw", "expected", "params"),
    [
        ("/", "GET /", {}),
        ("/users", "GET /users", {}),
        ("/users/me", "GET /users/me", {}),
        ("/users/7", "GET /users/{user_id}", {"user_id": "7"}),
        ("/users/7/orders", "GET /users/{user_id}/orders", {"user_id": "7"}),
        # Literal first; where it leads nowhere, back to the parameter.
        ("/users/me/orders", "GET /users/{user_id}/orders", {"user_id": "me"}),
        ("/users/me/z/x", "GET /users/me/{what}/x", {"what": "z"}),
        ("/users/me/z/y", "GET /users/{user_id}/{what}/y", {"user_id": "me", "what": "z"}),
        ("/files/special", "GET /files/special", {}),
        ("/files/a/info", "GET /files/{name}/info", {"name": "a"}),
        ("/files/a/info/b", "GET /files/{path:path}", {"path": "a/info/b"}),
        ("/files/special/x", "GET /files/{path:path}", {"path": "special/x"}),
        ("/files/", "GET /files/{path:path}", {"path": ""}),
        ("/files/a/", "GET /files/{path:path}", {"path": "a/"}),
        ("/x", "GET /{name}", {"name": "x"}),
    ],
)
def test_literal_before_parameter_before_rest(raw: str, expected: str, params: dict[str, str]) -> None:
    match = SHOP.match(b"GET", raw.encode())
    assert isinstance(match, Match)
    assert (match.plan, match.params, match.path) == (expected, params, raw.encode())


@pytest.mark.parametrize(
    ("raw", "params", "given"),
    [
        (b"/users/a%20b", {"user_id": "a b"}, b"a%20b"),
        (b"/users/a%2Fb", {"user_id": "a/b"}, b"a%2Fb"),
        (b"/users/%C3%A9", {"user_id": "é"}, b"%C3%A9"),
        (b"/users/%37", {"user_id": "7"}, b"%37"),
        (b"/users/a+b", {"user_id": "a+b"}, b"a+b"),
    ],
)
def test_parameters_are_decoded_for_deciding_and_kept_raw_for_forwarding(
    raw: bytes, params: dict[str, str], given: bytes
) -> None:
    match = SHOP.match(b"GET", raw)
    assert isinstance(match, Match)
    assert (match.params, match.raw) == (params, {"user_id": given})


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/%75sers", "GET /users"),
        ("/users/%6De", "GET /users/me"),
        ("/%55sers", "GET /{name}"),
        ("/USERS", "GET /{name}"),
        # Services decode before they match: a literal must not be dodged by encoding what needs no encoding.
        ("/%40me", "GET /@me"),
        ("/%40m%65", "GET /@me"),
        ("/users%2Fme", "GET /{name}"),
    ],
)
def test_literals_are_compared_as_services_read_them(raw: str, expected: str) -> None:
    assert plan(SHOP, "GET", raw) == expected


def test_head_is_answered_by_get_unless_declared() -> None:
    assert plan(SHOP, "HEAD", "/users") == "GET /users"
    assert plan(table("GET /a", "HEAD /a"), "HEAD", "/a") == "HEAD /a"
    assert SHOP.match(b"HEAD", b"/upload/") == MethodNotAllowed((b"OPTIONS", b"POST"))


def test_a_method_is_looked_for_in_less_specific_patterns() -> None:
    assert plan(SHOP, "DELETE", "/users/me") == "DELETE /users/{id}"
    match = SHOP.match(b"DELETE", b"/users/7")
    assert isinstance(match, Match)
    assert match.params == {"id": "7"}


@pytest.mark.parametrize(
    ("method", "raw", "allow"),
    [
        ("PUT", "/users", b"GET HEAD OPTIONS POST"),
        ("PUT", "/users/me", b"DELETE GET HEAD OPTIONS"),
        ("OPTIONS", "/users/7", b"DELETE GET HEAD OPTIONS"),
        ("GET", "/upload/", b"OPTIONS POST"),
        ("get", "/files/x/y", b"GET HEAD OPTIONS"),
    ],
)
def test_a_wrong_method_names_the_right_ones(method: str, raw: str, allow: bytes) -> None:
    assert SHOP.match(method.encode(), raw.encode()) == MethodNotAllowed(tuple(allow.split()))


@pytest.mark.parametrize(
    ("raw", "other"),
    [("/users/", b"/users"), ("/users/7/", b"/users/7"), ("/files", None), ("/a%2Fb/", b"/a%2Fb")],
)
def test_a_slash_too_many_or_too_few_is_a_redirect(raw: str, other: bytes | None) -> None:
    found = SHOP.match(b"GET", raw.encode())
    # ``/files`` is also a name, and a match is better than a redirect.
    assert found == Redirect(other) if other else isinstance(found, Match)


def test_redirects_stay_on_the_host() -> None:
    assert table("POST /upload/").match(b"POST", b"/upload") == Redirect(b"/upload/")
    anything = table("GET /{a}/", "GET /{a}")
    assert anything.match(b"GET", b"/") is None
    # Not reached by way of check_path, and still no way to "//host".
    for raw in (b"//", b"/", b"//evil", b""):
        found = table("GET /{p:path}", "GET /a").match(b"POST", raw)
        assert not isinstance(found, Redirect)
        found = table("GET /a").match(b"GET", raw)
        assert found is None


@pytest.mark.parametrize("raw", ["/users/7/nothing", "/users/7/a/b/c", "/x/y", "/upload/x", "/users//x"])
def test_an_unknown_path_is_nothing(raw: str) -> None:
    assert SHOP.match(b"GET", raw.encode()) is None


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (("GET /a", "GET /a"), "GET /a: /a answers the same requests; remove one of the two"),
        (("GET /{a}", "GET /{b}"), "GET /{b}: /{a} answers the same requests"),
        (("GET /x/{a:path}", "GET /x/{b:path}"), "GET /x/{b:path}: /x/{a:path} answers the same requests"),
        (("GET /{a:int}/b", "GET /{c:int}/b"), "GET /{c:int}/b: /{a:int}/b answers the same requests"),
        (("GET /{a}.csv", "GET /{b}.csv"), "GET /{b}.csv: /{a}.csv answers the same requests"),
        (("GET /{a:path}/x", "GET /{b:path}/x"), "GET /{b:path}/x: /{a:path}/x answers the same requests"),
        (
            ("LOCAL GET /docs", "GET /docs"),
            "GET /docs: the gateway route can never be reached, since the application's own endpoint at /docs was declared "
            "before it and answers the same requests",
        ),
        (("GET /{a}", "LOCAL GET /{b}"), "GET /{b}: the application's own endpoint can never be reached"),
        (
            ("LOCAL * /s/{p:path}", "GET /s/{p:path}"),
            "can never be reached, since the mounted application at /s/{p:path}",
        ),
    ],
)
def test_clashes_are_named(entries: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match="answers the same requests") as caught:
        table(*entries)
    assert message in str(caught.value)


def test_all_clashes_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="same requests") as caught:
        table("GET /a", "GET /a", "POST /a", "GET /{x}", "GET /{y}")
    assert len(str(caught.value).splitlines()) == 2


CONVERTED = table(
    "GET /i/{id:int}",
    "GET /i/{id:uuid}",
    "GET /i/{id:float}",
    "GET /i/{id}",
    "GET /i/{name}.csv",
    "GET /i/{a}-{b}",
    "GET /only/{id:int}",
    "GET /only/{rest:path}/edit",
    "GET /only/{rest:path}/{version:int}/edit",
)
_UUID = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("raw", "expected", "params"),
    [
        ("/i/7", "GET /i/{id:int}", {"id": "7"}),
        ("/i/%37", "GET /i/{id:int}", {"id": "7"}),
        ("/i/7.5", "GET /i/{id:float}", {"id": "7.5"}),
        ("/i/x", "GET /i/{id}", {"id": "x"}),
        ("/i/a.csv", "GET /i/{name}.csv", {"name": "a"}),
        ("/i/a%20b%2Ecsv", "GET /i/{name}.csv", {"name": "a b"}),
        ("/i/a-b", "GET /i/{a}-{b}", {"a": "a", "b": "b"}),
        ("/i/a-b-c", "GET /i/{a}-{b}", {"a": "a-b", "b": "c"}),
        ("/i/" + "a" * 1000, "GET /i/{id}", {"id": "a" * 1000}),  # long, and no other can be meant
        ("/i/" + "a" * 1000 + ".csv", "GET /i/{name}.csv", {"name": "a" * 1000}),
        ("/i/a%2Fb.csv", "GET /i/{name}.csv", {"name": "a/b"}),
        ("/i/%C3%A9%2f%2F%E2%82%AC%2Dx", "GET /i/{a}-{b}", {"a": "é//€", "b": "x"}),
        ("/i/7%2F5", "GET /i/{id}", {"id": "7/5"}),
        ("/only/a%2Fedit/b%2Fc/edit", "GET /only/{rest:path}/edit", {"rest": "a/edit/b/c"}),
        ("/only/7", "GET /only/{id:int}", {"id": "7"}),
        ("/only/a/b/edit", "GET /only/{rest:path}/edit", {"rest": "a/b"}),
        ("/only/a/2/edit", "GET /only/{rest:path}/{version:int}/edit", {"rest": "a", "version": "2"}),
    ],
)
def test_a_converter_and_text_around_a_parameter_are_matched(raw: str, expected: str, params: dict[str, str]) -> None:
    match = CONVERTED.match(b"GET", raw.encode())
    assert isinstance(match, Match)
    assert (match.plan, match.params) == (expected, params)


@pytest.mark.parametrize(
    "raw", ["/only/x", "/only/-7", "/only/7.5", "/only/edit", "/only/%D9%A7", "/only/7%2F7", "/only/a%2Fedit"]
)
def test_what_no_converter_takes_is_nothing(raw: str) -> None:
    assert CONVERTED.match(b"GET", raw.encode()) is None


def test_a_uuid_is_more_specific_than_a_text() -> None:
    assert plan(CONVERTED, "GET", f"/i/{_UUID}") == "GET /i/{id:uuid}"


def test_values_are_kept_as_they_were_received() -> None:
    match = CONVERTED.match(b"GET", b"/i/%41!%2f%C3%A9%2d~%7E%2Fx")
    assert isinstance(match, Match)
    assert match.raw == {"a": b"%41!%2f%C3%A9", "b": b"~%7E%2Fx"}
    match = CONVERTED.match(b"GET", b"/only/a%20!/b%2Fc/%37/edit")
    assert isinstance(match, Match)
    assert match.raw == {"rest": b"a%20!/b%2Fc", "version": b"%37"}


@pytest.mark.parametrize(
    ("path", "raw", "expected"),
    [
        ("/a/{b}/{c:int}-{d}", b"/a/x%20/7-%2F", {"b": b"x%20", "c": b"7", "d": b"%2F"}),
        ("/a/{n:int}/{p:path}/e{f}", b"/a/7/b%20/c/e%21", {"n": b"7", "p": b"b%20/c", "f": b"%21"}),
        ("/a/{n:int}", b"/a/x", {}),
    ],
)
def test_values_can_be_read_again_from_a_path(path: str, raw: bytes, expected: dict[str, bytes]) -> None:
    assert raw_values(Pattern.parse(path), raw) == expected


@pytest.mark.parametrize(
    ("entries", "raw", "expected"),
    [
        (("/o/{name}", "/o/{a}-{b}"), "/o/1-" + "2" * 255, TOO_LONG),
        (("/o/{name}", "/o/{a}-{b}"), "/o/1-" + "2" * 254, "GET /o/{a}-{b}"),
        (("/o/{name}", "/o/{a}-{b}"), "/o/1-" + "%32" * 254, "GET /o/{a}-{b}"),
        (("/o/{name}", "/o/{a}-{b}"), "/o/1" + "2" * 255, "GET /o/{name}"),
        (("/o/{name}", "/o/{a}-{b}/x"), "/o/1-" + "2" * 255, "GET /o/{name}"),
        (("/o/{name}/x", "/o/{a}-{b}/x"), "/o/1-" + "2" * 255 + "/x", TOO_LONG),
        (("/o/{rest:path}", "/o/{a}-{b}/{c}"), "/o/1-" + "2" * 255 + "/x", TOO_LONG),
        (("/o/{name}", "LOCAL /o/{a}-{b}"), "/o/1-" + "2" * 255, TOO_LONG),
        (("/o/{name}", "/o/{n:int}"), "/o/" + "9" * 128, "GET /o/{n:int}"),
        (("/o/{name}", "/o/{n:int}"), "/o/" + "9" * 129, TOO_LONG),
        (("/o/{name}", "LOCAL /o/{n:int}"), "/o/" + "9" * 5000, TOO_LONG),
        (("/o/{name}", "/o/{n:float}"), "/o/" + "9" * 100 + "." + "9" * 100, TOO_LONG),
        (("/o/{name}", "/o/{n:int}"), "/o/" + "9" * 5000 + "x", "GET /o/{name}"),
        (("/o/{name}", "/o/v{n:int}-{m:int}"), "/o/v" + "9" * 5000 + "-1", TOO_LONG),
        (("/{rest:path}", "/{p:path}/{a}-{b}"), "/x/1-" + "2" * 255, TOO_LONG),
        (("/{rest:path}", "/{p:path}/{a}-{b}"), "/" + "x/" * 2000 + "1-2", "GET /{p:path}/{a}-{b}"),
        (("/{rest:path}", "/{p:path}/{n:int}/x"), "/a/" + "9" * 129 + "/x", TOO_LONG),
    ],
)
def test_what_is_too_long_for_a_pattern_is_not_the_next_ones(
    entries: tuple[str, ...], raw: str, expected: object
) -> None:
    found = table(*(f"LOCAL GET {one[6:]}" if one.startswith("LOCAL ") else f"GET {one}" for one in entries))
    match = found.match(b"GET", raw.encode())
    assert (match.plan if isinstance(match, Match) else match) == expected
    if expected == TOO_LONG:
        fault = find(found, b"GET", raw.encode(), b"")
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.text) == (
            Kind.URI_TOO_LONG,
            "A segment of the path is longer than its route takes.",
        )
        assert isinstance(found.match(b"POST", raw.encode()), MethodNotAllowed)


def test_a_websocket_with_too_long_a_path_is_not_for_the_application() -> None:
    found = table("LOCAL websocket /w/{n:int}", "GET /w/{name}")
    assert found.has_websocket(b"/w/7")
    assert not found.has_websocket(b"/w/" + b"7" * 129)


SPECIFIC = (
    "/s/{u:uuid}",
    "/s/{n:int}",
    "/s/{f:float}",
    "/s/secret-{name}.csv",
    "/s/{n:int}.csv",
    "/s/{name}.csv",
    "/s/{n:int}-{m:int}",
    "/s/{n:int}-{b}",
    "/s/{a}-{b}",
    "/s/{a}",
    "/s/{p:path}/users/edit",
    "/s/{p:path}/{n:int}/edit",
    "/s/{p:path}/{n}/edit",
    "/s/{p:path}/edit",
    "/s/{p:path}/{n:int}",
    "/s/{p:path}",
)


@given(st.permutations(SPECIFIC))
def test_the_more_specific_answers_in_whatever_order_they_are_declared(order: list[str]) -> None:
    found = table(*(f"GET {path}" for path in order))
    reached = {
        raw: plan(found, "GET", f"/s/{raw}")
        for raw in (
            _UUID,
            "7",
            "7.5",
            "secret-7.csv",
            "7.csv",
            "x.csv",
            "7-7",
            "7-x",
            "x-7",
            "x",
            "x/users/edit",
            "x/7/edit",
            "x/y/edit",
            "x/edit",
            "x/7",
            "x/y",
        )
    }
    assert list(reached.values()) == [f"GET {path}" for path in SPECIFIC]


@pytest.mark.parametrize("before", ["/x/{name}.", "/x/{rest:path}/"])
def test_the_patterns_of_one_place_are_bounded(before: str) -> None:
    entries = [f"GET {before}{number}" for number in range(MOST_SPECIALS)]
    assert (
        plan(
            table(*entries, f"POST {before}0"), "GET", before.replace("{name}", "n").replace("{rest:path}", "r") + "63"
        )
        == entries[63]
    )
    with pytest.raises(ValueError, match="more than 64 paths have a parameter"):
        table(*entries, f"GET {before}{MOST_SPECIALS}")


@pytest.mark.parametrize(
    ("path", "hostile"),
    [
        ("/{a:int}", "9" * 8000 + "x"),
        ("/{a:float}", "9" * 4000 + "." + "9" * 4000 + "x"),
        ("/{a:int}{b:int}", "9" * 255 + "x"),
        ("/{a:int}{b:int}", "9" * 8000 + "x"),
        ("/{a:float}{b:float}", "9" * 120 + "." + "9" * 130 + "x"),
        ("/{a:int}-{b:int}-{c:int}", "9" * 4000 + "-" + "1" * 3900 + "-x"),
        ("/{a:float}x{b:float}x{c:float}", "9" * 4000 + "x" + "9" * 2000 + "x" + "9" * 1900 + "y"),
        ("/{a}1{b:int}", "1" * 255 + "x"),
        ("/{a}x{p:path}y", "xy/" * 2600 + "y"),
        ("/{p:path}/{a}/{b}/{c}/{d}/{n:int}.{m:int}", "1.1/" * 1990 + "1.1x"),
        ("/{p:path}/{a}x{b:int}/{c}x{d:int}", "q/" * 3000 + "x" * 255 + "/x" + "1" * 254),
    ],
)
def test_no_path_costs_more_than_a_moment(path: str, hostile: str) -> None:
    found = table(f"GET {path}")
    began = time.process_time()
    assert not isinstance(found.match(b"GET", f"/{hostile}".encode()), Match)
    assert time.process_time() - began < 0.1  # 0.003 s at most, where nothing else runs; it was a minute


MIXED = table(
    "LOCAL GET /docs",
    "LOCAL POST /items/{id}",
    "GET /items/{id}",
    "LOCAL GET /items/special",
    "LOCAL HEAD /head",
    "LOCAL GET /head",
    "LOCAL * /static/{path:path}",
    "LOCAL websocket /ws",
    "GET /ws/stub",
    "GET /{path:path}",
)


@pytest.mark.parametrize(
    ("method", "raw", "expected"),
    [
        ("GET", "/docs", LOCAL),
        ("GET", "/items/special", LOCAL),
        ("POST", "/items/1", LOCAL),
        ("HEAD", "/docs", Local(as_get=True)),
        ("HEAD", "/head", LOCAL),
        ("HEAD", "/static/x", LOCAL),
        ("BREW", "/static/x/y", LOCAL),
        ("PATCH", "/items/1", MethodNotAllowed((b"GET", b"HEAD", b"OPTIONS", b"POST"))),
    ],
)
def test_no_pattern_takes_what_is_the_applications_own(method: str, raw: str, expected: object) -> None:
    assert MIXED.match(method.encode(), raw.encode()) == expected


def test_what_is_not_the_applications_own_goes_on_to_the_less_specific() -> None:
    assert plan(MIXED, "GET", "/ws") == "GET /{path:path}"
    assert plan(MIXED, "GET", "/items/1") == "GET /items/{id}"
    assert plan(MIXED, "GET", "/staticx") == "GET /{path:path}"


def test_a_websocket_is_for_the_application_unless_a_route_is_nearer() -> None:
    assert MIXED.has_websocket(b"/ws")
    assert MIXED.has_websocket(b"/static/ws")
    assert not MIXED.has_websocket(b"/ws/stub")
    assert not MIXED.has_websocket(b"/other")
    assert table("GET /a").has_websocket(b"/b")
    assert b"websocket" not in MIXED.methods


def test_without_redirects_another_final_slash_is_another_path() -> None:
    assert table("GET /a", redirects=False).match(b"GET", b"/a/") is None
    assert table("LOCAL GET /a").match(b"GET", b"/a/") == Redirect(b"/a")
    assert table("LOCAL websocket /a").match(b"GET", b"/a/") is None


def endpoint(request: Any) -> Any:
    raise AssertionError("never called")


WORDS = st.sampled_from(["a", "b", "c1", "x-y", "{p}", "{q}", "{n:int}", "{f:float}", "{c}.csv", "x{d}"])
METHODS = st.lists(st.sampled_from(["GET", "POST", "DELETE"]), min_size=1, max_size=2, unique=True)
TAILS = st.sampled_from(["", "", "/", "/{rest:path}"])
ROUTES = st.lists(st.tuples(METHODS, st.lists(WORDS, max_size=3, unique=True), TAILS), min_size=1, max_size=6)
PATHS = st.lists(
    st.sampled_from(["r0", "r1", "r2", "a", "b", "c1", "x-y", "zz", "7", "7.5", "a.csv", "xx"]), max_size=5
)


@given(ROUTES, PATHS, st.booleans(), st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PUT"]))
def test_the_table_answers_as_starlettes_router_does(
    routes: list[tuple[list[str], list[str], str]], words: list[str], slash: bool, method: str
) -> None:
    # A first segment of its own keeps any two patterns apart, which is where order would matter.
    declared = [(methods, "/" + "/".join([f"r{i}", *parts]) + tail) for i, (methods, parts, tail) in enumerate(routes)]
    raw = ("/" + "/".join(words)).rstrip("/") + "/" * slash or "/"
    assert check_path(raw.encode()) is None
    found = table(*(f"{m} {path}" for methods, path in declared for m in methods)).match(method.encode(), raw.encode())
    router = Router([Route(path, endpoint, methods=methods) for methods, path in declared])

    def verdict(path: str) -> tuple[Found, str, dict[str, Any]]:
        """Return the best match, its pattern and parameters."""
        scope: Any = {"type": "http", "method": method, "path": path, "root_path": ""}
        best: tuple[Found, str, dict[str, Any]] = (Found.NONE, "", {})
        for route in router.routes:
            assert isinstance(route, Route)
            match, child = route.matches(scope)
            if match.value > best[0].value:
                best = (match, route.path, child["path_params"])
        return best

    match, path, params = verdict(raw)
    if match is Found.FULL:
        assert isinstance(found, Match)
        assert (found.plan.partition(" ")[2], found.params) == (path, params)
    elif match is Found.PARTIAL:
        assert isinstance(found, MethodNotAllowed)
        assert {m.encode() for methods, p in declared if p == path for m in methods} <= set(found.allow)
    else:
        other = raw.rstrip("/") if slash else raw + "/"
        known = raw != "/" and verdict(other)[0] is not Found.NONE
        assert found == (Redirect(other.encode()) if known else None)
