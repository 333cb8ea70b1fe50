"""``Split``: which side gets a request, and what each side is told, on both engines without sockets."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import pytest

from limen import (
    Gateway,
    Router,
    Split,
    Sticky,
    Timeouts,
    Upstream,
    anyone,
    header_is,
    owner,
    role,
    signed_in,
)
from limen.auth import Jwt
from limen.auth.assertion import Assertion
from limen.checks.run import run
from limen.errors import DeclarationError
from limen.exchange.request import Request
from limen.policies import Respond
from limen.runtime.split import chooser
from limen.testing import ScriptedTarget, answer, as_caller, flush_log, make_request, saying, serving
from limen.upstream.balance import caller, header
from tokens import SECRET, pair

Engine = Literal["direct", "asgi"]

STABLE = Upstream("orders", ["http://orders:8000"])
CANARY = Upstream("orders-next", ["http://next:8000"])
WRONG: Any = "wrong"


@pytest.fixture(params=["direct", "asgi"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param


def sides() -> dict[str, ScriptedTarget]:
    return {
        "http://orders:8000": ScriptedTarget(saying(answer("stable"))),
        "http://next:8000": ScriptedTarget(saying(answer("canary"))),
    }


def gateway(split: Split) -> Gateway:
    app = Gateway(auth=Jwt(SECRET), assertion=Assertion(pair("ES256")[0].decode()))
    app.forward("/mine/{user}", upstream=split, allow=signed_in)
    app.forward("/orders", upstream=split, allow=signed_in)
    return app


# --- which side ---


async def test_a_header_a_rule_and_a_function_choose_the_canary(engine: Engine) -> None:
    def is_put(request: Request) -> bool:
        return request.method == b"PUT"

    app = Gateway(auth=Jwt(SECRET))
    app.forward("/header", upstream=Split(STABLE, CANARY, when=header_is("X-Canary", "yes")), allow=anyone)
    app.forward("/present", upstream=Split(STABLE, CANARY, when=header("x-canary")), allow=anyone)
    app.forward("/role", upstream=Split(STABLE, CANARY, when=role("staff")), allow=signed_in)
    app.forward("/owner/{user}", upstream=Split(STABLE, CANARY, when=owner("user")), allow=signed_in)
    app.forward("/method", upstream=Split(STABLE, CANARY, when=is_put), allow=anyone)
    async with serving(app, services=sides(), engine=engine) as client:

        async def side(path: str, method: str = "GET", **headers: str) -> str:
            response = await client.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            return response.json()

        assert await side("/header") == "stable"
        assert await side("/header", x_canary="no") == "stable"
        assert await side("/header", x_canary="yes") == "canary"
        assert (await client.get("/header", headers=[("x-canary", "yes"), ("x-canary", "no")])).json() == "stable"
        assert [await side("/present"), await side("/present", x_canary="no")] == ["stable", "canary"]
        assert await side("/role", **as_caller(app, 1, "user")) == "stable"
        assert await side("/role", **as_caller(app, 1, "staff")) == "canary"
        assert await side("/owner/1", **as_caller(app, 2)) == "stable"
        assert await side("/owner/2", **as_caller(app, 2)) == "canary"
        assert [await side("/method"), await side("/method", "PUT")] == ["stable", "canary"]


def asked(**headers: str) -> Request:
    return make_request(headers=headers.items())


def test_a_share_is_drawn_for_each_request() -> None:
    numbers = iter([0.0, 0.049, 0.05, 0.999])
    choose = chooser(Split(STABLE, CANARY, share=0.05), lambda: next(numbers))
    assert [choose(asked()) for _ in range(4)] == [True, True, False, False]


def test_a_share_of_none_and_of_all_needs_no_draw_to_be_sure() -> None:
    def never_drawn() -> float:
        raise AssertionError

    assert not chooser(Split(STABLE, CANARY, share=0), never_drawn)(asked())
    assert chooser(Split(STABLE, CANARY, share=1), lambda: 0.9999999)(asked())


def test_who_meets_the_condition_is_not_drawn() -> None:
    choose = chooser(Split(STABLE, CANARY, share=0.5, when=header_is("x-canary", "yes")), lambda: 0.9)
    assert choose(asked(**{"x-canary": "yes"}))
    assert not choose(asked())


def placed(share: float, keys: Sequence[str], canary: Upstream = CANARY) -> set[str]:
    def never_drawn() -> float:
        raise AssertionError

    choose = chooser(Split(STABLE, canary, share=share, key=header("x-key")), never_drawn)
    return {key for key in keys if choose(asked(**{"x-key": key}))}


def test_a_key_stays_on_its_side_and_a_greater_share_only_adds() -> None:
    keys = [f"caller-{number}" for number in range(4000)]
    found = [placed(share, keys) for share in (0.0, 0.01, 0.05, 0.25, 0.5, 1.0)]
    assert all(less <= more for less, more in pairwise(found))
    assert [len(one) / len(keys) for one in found] == pytest.approx([0, 0.01, 0.05, 0.25, 0.5, 1], abs=0.02)
    assert placed(0.25, keys) == found[3]
    # Another canary is another draw: not the same callers meet all of them.
    others = placed(0.25, keys, Upstream("users-next", ["http://users-next:8000"]))
    assert len(others & found[3]) / len(keys) == pytest.approx(0.0625, abs=0.02)


def test_a_request_without_a_key_is_drawn() -> None:
    choose = chooser(Split(STABLE, CANARY, share=0.5, key=header("x-key")), lambda: 0.4)
    assert choose(asked())


# --- what each side is told ---


def audience(head: bytes) -> str:
    (line,) = [one for one in head.split(b"\r\n") if one.lower().startswith(b"request-identity:")]
    payload = line.split(b".")[1]
    return json.loads(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))["aud"]


async def test_the_assertion_is_for_the_side_that_is_chosen(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    app, services = gateway(Split(STABLE, CANARY, when=role("staff"))), sides()
    with caplog.at_level("INFO", "limen.access"):
        async with serving(app, services=services, engine=engine) as client:
            await client.get("/orders", headers=as_caller(app, 1, "user"))
            await client.get("/orders", headers=as_caller(app, 2, "staff"))
            assert (await client.get("/orders")).status_code == 401
            flush_log()
    heads = [services[url].requests for url in ("http://orders:8000", "http://next:8000")]
    assert [[audience(head) for head in each] for each in heads] == [["orders"], ["orders-next"]]
    for each, who in zip(heads, (b"1", b"2"), strict=True):
        assert b"\r\nrequest-user-id: " + who + b"\r\n" in each[0]
    told = [line for line in caplog.messages if "route=/orders" in line]
    assert [line.partition(" upstream=")[2].split()[0] for line in told] == ["orders", "orders-next", "orders"]
    assert "target=http://next:8000 attempts=1" in told[1]
    assert "target=" not in told[2]


async def test_each_side_has_its_own_timeouts_and_deadline(engine: Engine) -> None:
    canary = Upstream("orders-next", ["http://next:8000"], timeouts=Timeouts(deadline=5), deadline_header="x-left")
    app, services = Gateway(), sides()
    split = Split(STABLE, canary, when=header_is("x-canary", "yes"))
    app.forward("/orders", upstream=split, allow=anyone)
    async with serving(app, services=services, engine=engine) as client:
        await client.get("/orders", headers={"x-left": "999999", "x-canary": "yes"})
        await client.get("/orders", headers={"x-left": "999999"})
    (left,) = [one.value(b"x-left") for one in services["http://next:8000"].received]
    assert left is not None
    assert 4000 < int(left) <= 5000
    # It is the gateway's on this route: the other side gets none either.
    assert [one.value(b"x-left") for one in services["http://orders:8000"].received] == [None]


async def test_a_stub_of_a_router_may_have_one_and_its_bodies_are_checked(engine: Engine) -> None:
    app, router, services = Gateway(), Router(), sides()
    group = router.group("/v1", upstream=Split(STABLE, CANARY, share=1.0), allow=anyone)

    @group.post("/orders")
    def create(number: int, note: dict[str, int]) -> str: ...

    del create
    app.include_router(router)
    async with serving(app, services=services, engine=engine) as client:
        assert (await client.post("/v1/orders?number=1", json={"a": 1})).json() == "canary"
        assert (await client.post("/v1/orders?number=x", json={"a": 1})).status_code == 422
    assert [one.body for one in services["http://next:8000"].received] == [b'{"a":1}']


async def test_both_sides_are_known_to_all_who_ask() -> None:
    canary = Upstream("orders-next", ["http://next:8000", "http://next-2:8000"])
    app = gateway(Split(STABLE, canary, share=0.05, when=header_is("x-canary", "yes")))
    shown = {info.upstream for info in app.describe()}
    assert shown == {"orders | orders-next (x-canary: yes, 5%)"}
    assert [one.name for one in app.active_config().runtime.snapshot().upstreams] == ["orders", "orders-next"]
    assert [one.name for one in app.declared()[0].upstreams] == ["orders", "orders-next"]
    assert run(app) == []


# --- what is refused ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Split(STABLE, CANARY), "nothing says which requests go to canary; give share=0.05"),
        (lambda: Split(STABLE, STABLE, share=0.5), "both upstreams are named 'orders'"),
        (lambda: Split(STABLE, WRONG, share=0.5), "Split(canary='wrong'): write Upstream"),
        (lambda: Split(STABLE, CANARY, share=1.5), "Split(share=1.5): must be at most 1"),
        (lambda: Split(STABLE, CANARY, share=-0.5), "Split(share=-0.5): must be at least 0"),
        (lambda: Split(STABLE, CANARY, share=True), "Split(share=True): must be a number"),
        (
            lambda: Split(STABLE, CANARY, when=role("a"), key=caller),
            "Split(key=...) says who stays on a side of share=",
        ),
        (lambda: Split(STABLE, CANARY, when=WRONG), "give a rule such as role('staff'), or a function"),
        (lambda: Split(STABLE, CANARY, when=anyone), "says nothing of the caller; use share=1"),
        (lambda: Split(STABLE, CANARY, share=0.1, key=WRONG), "give a function of the request, such as caller"),
        (lambda: header_is("x canary", "yes"), "x canary"),
        (lambda: header_is("x-canary", " yes"), "such a value never comes"),
    ],
)
def test_what_splits_nothing_is_refused_where_it_is_written(make: Callable[[], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert message in str(caught.value)


def test_functions_that_nobody_would_await_are_refused() -> None:
    async def later(request: Request) -> bool:
        return True

    with pytest.raises(TypeError, match=r"Split\(when=later\) is async"):
        Split(STABLE, CANARY, when=later)


def test_two_sides_do_not_bind_clients_by_one_cookie() -> None:
    sticky = [Upstream(name, [f"http://{name}"], balance=Sticky()) for name in ("a", "b")]
    with pytest.raises(ValueError, match="both upstreams bind clients by the cookie 'limen-target'"):
        Split(sticky[0], sticky[1], share=0.5)
    Split(sticky[0], Upstream("b", ["http://b"], balance=Sticky(cookie="b")), share=0.5)


def test_what_a_route_cannot_split_by_is_a_problem_of_the_declaration() -> None:
    app = Gateway(auth=Jwt(SECRET))
    app.forward("/a", upstream=Split(STABLE, CANARY, when=role("staff")), allow=anyone)
    app.forward("/b", upstream=Split(STABLE, CANARY, when=owner("user")), allow=signed_in)
    other = Upstream("orders-next", ["http://another:8000"])
    app.forward("/c", upstream=Split(STABLE, other, share=0.5), allow=anyone)
    app.forward("/d", upstream=Respond, allow=anyone)  # pyright: ignore[reportArgumentType] - the mistake under test
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    for line in (
        "/a: Split(when=role(staff)) asks who is calling, and anyone may call",
        "/b: Split(when=owner(user)) needs the path parameter {user}, which is not there",
        "/c: two different upstreams are named 'orders-next'; rename one",
        "or Split(stable, canary, share=...)",
    ):
        assert line in str(caught.value), caught.value
