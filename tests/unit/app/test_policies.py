"""``policies=`` on a gateway, its groups and its routes: which stand where, in which order, and what is refused."""

import logging
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from limen import DeclarationError, Gateway, Limits, Upstream, anyone, signed_in
from limen.app.options import EVERY_METHOD
from limen.auth import Jwt, Revocations
from limen.exchange.hooks import NO_HOOKS, Hooks
from limen.exchange.policy import Environment
from limen.policies import Edits, Headers, Redirect, Respond
from limen.routing.table import Match
from limen.testing import EveryHook, Record
from tokens import SECRET

SVC = Upstream("svc", ["http://127.0.0.1:1"])
ON_ROUTES = frozenset(("arrive", "settle"))


class Said:
    """A live policy that says what it is."""

    def __init__(self, declared: object) -> None:
        self.declared = declared

    def arrive(self, request: object) -> None: ...


@dataclass(frozen=True)
class Adding:
    """One of which several stand together."""

    rank: ClassVar[int] = 20
    adds: ClassVar[bool] = True

    name: str = "adding"
    at: str = ""

    def live(self, environment: Environment) -> Said:
        return Said(self)


@dataclass(frozen=True)
class Single:
    """One of which the nearest stands alone."""

    rank: ClassVar[int] = 10
    adds: ClassVar[bool] = False

    name: str = "single"
    at: str = ""

    def live(self, environment: Environment) -> Said:
        return Said(self)


def hooks(app: Gateway, path: bytes) -> Hooks:
    found = app.active_config().table.match(b"GET", path)
    assert isinstance(found, Match)
    return found.plan.hooks


def standing(app: Gateway, path: bytes) -> list[object]:
    return [hook.__self__.declared for hook in hooks(app, path).arrive]  # pyright: ignore[reportFunctionMemberAccess, reportUnknownMemberType, reportUnknownVariableType]


def problems(app: Gateway) -> tuple[str, ...]:
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    return caught.value.problems


def test_without_policies_there_are_no_hooks() -> None:
    app = Gateway()
    app.forward("/a", upstream=SVC, allow=anyone)
    assert hooks(app, b"/a") is NO_HOOKS
    assert app.active_config().hooks is NO_HOOKS


def test_the_nearest_wins_by_kind() -> None:
    app = Gateway(policies=[Adding("one", "gateway"), Adding("two", "gateway"), Single(at="gateway")])
    outer = app.group("/g", upstream=SVC, allow=anyone, policies=[Adding("three", "outer"), Single("mine", "outer")])
    inner = outer.group("/i", policies=(Adding("one", "inner"),))

    @outer.get("/a")
    def a() -> None: ...

    @inner.get("/b")
    def b() -> None: ...

    @inner.get("/c", policies=[Adding("three", "route"), Single(at="route"), Adding("four", "route")])
    def c() -> None: ...

    del a, b, c
    app.forward("/d", upstream=SVC, allow=anyone)
    app.forward("/e", upstream=SVC, allow=anyone, policies=[Adding("one", "route")])
    first, second, single = Adding("one", "gateway"), Adding("two", "gateway"), Single(at="gateway")
    assert standing(app, b"/d") == [single, first, second]
    assert standing(app, b"/e") == [single, second, Adding("one", "route")]
    outers = [Single("mine", "outer"), first, second, Adding("three", "outer")]
    assert standing(app, b"/g/a") == outers
    assert standing(app, b"/g/i/b") == [outers[0], second, outers[3], Adding("one", "inner")]
    assert standing(app, b"/g/i/c") == [
        Single(at="route"),
        second,
        Adding("one", "inner"),
        Adding("three", "route"),
        Adding("four", "route"),
    ]


def test_what_lives_of_a_group_is_one_for_its_routes_and_another_for_the_next_group() -> None:
    app = Gateway()
    for path in ("/1", "/2"):
        group = app.group("/g", upstream=SVC, allow=anyone, policies=[Adding()])

        @group.get(path)
        def stub() -> None: ...

        @group.get(path + "/x")
        def other() -> None: ...

        del stub, other
    first, same, second = (hooks(app, path).arrive[0] for path in (b"/g/1", b"/g/1/x", b"/g/2"))
    assert first == same
    assert first != second


def test_enter_is_the_gateways_alone() -> None:
    record = Record()
    app = Gateway(policies=[EveryHook(record)])
    app.forward("/a", upstream=SVC, allow=anyone, policies=[EveryHook(record, name="route", phases=ON_ROUTES)])
    config = app.active_config()
    assert len(config.hooks.enter) == 1
    assert len(config.hooks.settle) == 1
    assert hooks(app, b"/a").enter == ()
    assert len(hooks(app, b"/a").settle) == 2
    assert config.hooks.settle[0] in hooks(app, b"/a").settle


def test_enter_elsewhere_is_refused_once_for_each_place() -> None:
    record = Record()
    app = Gateway()
    group = app.group("/g", upstream=SVC, allow=anyone, policies=[EveryHook(record)])

    @group.get("/a")
    def a() -> None: ...

    @group.get("/b", policies=[EveryHook(record, name="mine")])
    def b() -> None: ...

    del a, b
    said = (
        "EveryHook has its say before the route is known, so it can only stand on the gateway: Gateway(policies=[...])"
    )
    assert problems(app) == (f"group /g: {said}", f"GET /g/b: {said}")


def test_all_problems_are_told_at_once() -> None:
    wrong: Any = [Headers, "x", Adding(), Adding(), Single(), Single("other")]
    app = Gateway(auth=Jwt(SECRET), revocations=Revocations(), policies=wrong)
    not_a_list: Any = Adding()
    app.group("/g", policies=not_a_list)
    outer = app.group("/o", policies=[Adding(), Adding()])
    outer.group("/i", policies=[Single(), Single()])

    class Item(BaseModel):
        number: int

    @app.post(
        "/a/{n}",
        upstream=SVC,
        allow=signed_in,
        session_ended_header="session-ended",
        policies=[
            Headers(
                request=Edits(set={"request-user-id": "1", "authorization": "x", "content-type": "a/b", "range": "b"}),
                answer=Edits(remove=["session-ended"]),
            ),
            Redirect("/b/{name}"),
            Respond(200),
        ],
    )
    def a(n: int, item: Item) -> Item: ...

    del a

    @app.get("/local", policies=[Adding()])
    def local() -> None: ...

    loose = app.group("/loose", policies=[Adding()])

    @loose.get("")
    def in_group() -> None: ...

    del local, in_group
    clash = "leave one out, or give one another name="
    mend = "use those of limen.policies, such as Headers(...), or an object with rank, adds, name and live"
    assert problems(app) == (
        f"Gateway: policies=[Headers] is no policy; {mend}",
        f"Gateway: policies=[str(...)] is no policy; {mend}",
        f"Gateway: policies= has two Adding named 'adding'; {clash}",
        "Gateway: policies= has two of Single, of which one can stand in a place; leave one out",
        "group /g: policies=Adding(...) is no list; write policies=[...]",
        f"group /o: policies= has two Adding named 'adding'; {clash}",
        "group /o/i: policies= has two of Single, of which one can stand in a place; leave one out",
        "GET /local: policies given without upstream=; name the service",
        "GET /loose: policies given without upstream=; name the service",
        "POST /a/{n}: Redirect answers before the caller is known: the rule of POST /a/{n} would go unasked; "
        "say allow=anyone",
        "POST /a/{n}: Redirect('/b/{name}'): the path of POST /a/{n} has no parameter 'name'",
        "POST /a/{n}: Respond answers before the caller is known: the rule of POST /a/{n} would go unasked; "
        "say allow=anyone",
        "POST /a/{n}: Headers(request=): 'request-user-id' tells services who is calling, or is a credential that the "
        "gateway consumes; leave it out",
        "POST /a/{n}: Headers(request=): 'authorization' tells services who is calling, or is a credential that the "
        "gateway consumes; leave it out",
        "POST /a/{n}: Headers(request=): 'content-type' is checked with the body of POST /a/{n}, and the service gets "
        "what was checked; leave it out",
        "POST /a/{n}: Headers(request=): 'range' is the gateway's to say on POST /a/{n}: answers that are checked come "
        "plain and whole; leave it out",
        "POST /a/{n}: Headers(answer=): 'session-ended' is the gateway's own on POST /a/{n}; leave it out",
    )


def test_what_the_gateway_says_wrong_is_told_once_and_not_for_each_route() -> None:
    app = Gateway(auth=Jwt(SECRET), policies=[Headers(request=Edits(remove=["request-identity"]))])
    app.forward("/a", upstream=SVC, allow=anyone)
    app.forward("/b", upstream=SVC, allow=anyone)
    (line,) = problems(app)
    assert line.startswith("Gateway: Headers(request=): 'request-identity' tells services who is calling")


# --- while it runs ---


def test_a_late_declaration_that_is_wrong_leaves_what_was_there(caplog: pytest.LogCaptureFixture) -> None:
    app = Gateway()
    app.forward("/a", upstream=SVC, allow=anyone)
    before = app.active_config()
    with caplog.at_level(logging.ERROR, "limen.app.config"):
        app.forward("/b", upstream=Upstream("svc", ["http://127.0.0.1:2"], limits=Limits(connections=1)), allow=anyone)
        assert app.active_config() is before
        assert app.active_config() is before
    (record,) = [one for one in caplog.records if one.name == "limen.app.config"]
    assert "what was before serves on: 1 problem" in record.getMessage()
    line = f"{'|'.join(EVERY_METHOD)} /b: two different upstreams are named 'svc'; rename one"
    assert problems(app) == (line,)
    assert problems(app) == (line,)
    assert app.active_config() is before


def test_a_late_problem_of_a_decorator_is_told_too() -> None:
    app = Gateway()
    app.compile()
    before = app.active_config()

    @app.get("/a", upstream=SVC)
    def a() -> None: ...

    del a
    assert app.active_config() is before
    assert problems(app)[0].startswith("GET /a: says nothing about who may call")


def test_what_is_declared_late_is_there_with_the_pools_that_were() -> None:
    app = Gateway(policies=[Adding()])
    app.forward("/a", upstream=SVC, allow=anyone)
    first = app.active_config().table.match(b"GET", b"/a")
    app.forward("/b", upstream=SVC, allow=anyone)
    second = app.active_config().table.match(b"GET", b"/b")
    assert isinstance(first, Match)
    assert isinstance(second, Match)
    assert second.plan.upstream is first.plan.upstream
    assert second.plan.hooks.arrive == first.plan.hooks.arrive
