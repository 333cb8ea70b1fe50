"""Compiles declared routes into plans, or lists every problem at once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from limen import DeclarationError, Principal, Timeouts, Upstream, anyone, owner, role, signed_in
from limen.app.hooks import after_hook
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import issue
from limen.contract.contract import Contract
from limen.contract.parameters import Parameter, ParameterLocation
from limen.errors import Fault, Kind
from limen.routing.table import Match
from limen.runtime.compile import compile_config
from limen.runtime.plan import Plan
from limen.runtime.route import Route
from limen.runtime.snapshot import Snapshot
from limen.runtime.state import Runtime
from limen.testing import make_request
from limen.upstream.snapshot import UpstreamSnapshot
from tokens import NOW, SECRET

USERS = Upstream("users", ["http://127.0.0.1:1"], timeouts=Timeouts(idle=7))
ORDERS = Upstream("orders", ["http://127.0.0.1:2"])
AUTH = Jwt(SECRET)


def role_of(principal: Principal) -> str:
    return "admin" if "admin" in principal.roles else "default"


def id_of(principal: Principal) -> str:
    return principal.id


IDENTITY: dict[str, Callable[[Principal], str]] = {"Request-User-Id": id_of, "request-user-role": role_of}


def route(path: str = "/a", **options: Any) -> Route:
    defaults: dict[str, Any] = {"methods": ("GET",), "path": path, "upstream": USERS, "allow": anyone}
    return Route(**(defaults | options))


def plan(*routes: Route, auth: Jwt | None = AUTH, raw: bytes = b"/a", method: bytes = b"GET") -> Plan:
    runtime = Runtime(auth, now=lambda: NOW)
    match = compile_config(routes, runtime=runtime, identity=IDENTITY).table.match(method, raw)
    assert isinstance(match, Match)
    return match.plan


def problems(*routes: Route, auth: Jwt | None = AUTH, found: tuple[str, ...] = ()) -> tuple[str, ...]:
    with pytest.raises(DeclarationError) as caught:
        compile_config(routes, runtime=Runtime(auth), identity=IDENTITY, problems=found)
    return caught.value.problems


def test_what_is_not_declared_is_absent() -> None:
    made = plan(route())
    assert (made.access_control, made.rewrite, made.answer_hooks) == (None, None, {})
    assert made.timeouts == USERS.timeouts
    assert plan(route(), auth=None).access_control is None


def test_what_is_declared_is_there() -> None:
    def after(answer: object) -> object:
        return answer

    short = Timeouts(idle=1)
    made = plan(route("/a", timeouts=short, rewrite="/b", after=after_hook(after, public=True)))
    assert made.timeouts is short
    assert made.rewrite is not None
    assert made.rewrite.fill({}) == b"/b"
    assert [*made.answer_hooks] == [200]


@pytest.mark.parametrize("where", ["query", "header", "cookie"])
def test_a_contract_reads_only_the_declared_locations(where: ParameterLocation) -> None:
    contract = Contract((Parameter("x", where, TypeAdapter(int), required=True),))
    assert {name for name in ("query", "header", "cookie") if contract.needs(name)} == {where}


def test_one_pool_per_upstream_and_one_table_entry_per_method() -> None:
    runtime = Runtime(None)
    routes = [route(methods=("GET", "POST")), route("/b"), route("/c", upstream=ORDERS)]
    table = compile_config(routes, runtime=runtime, identity={}).table
    found = [table.match(*case) for case in ((b"GET", b"/a"), (b"POST", b"/a"), (b"GET", b"/b"), (b"GET", b"/c"))]
    plans = [match.plan for match in found if isinstance(match, Match)]
    assert len(plans) == 4
    assert plans[0].upstream is plans[1].upstream is plans[2].upstream
    assert plans[0].upstream.upstream is USERS
    assert plans[3].upstream.upstream is ORDERS
    assert [upstream.name for upstream in runtime.snapshot().upstreams] == ["users", "orders"]


def test_identity_and_credentials_of_a_client_never_reach_a_service() -> None:
    identity = {b"request-identity", b"request-user-id", b"request-user-role"}
    assert plan(route()).withheld_headers == identity | {b"authorization"}
    # Without auth the gateway consumes no credential: it belongs to the service.
    assert plan(route(), auth=None).withheld_headers == identity


def entry(made: Plan, authorization: list[bytes], now: float = NOW) -> Principal | Fault:
    assert made.access_control is not None
    found = made.access_control.identify(
        make_request(headers=[("authorization", value.decode()) for value in authorization]), now
    )
    assert isinstance(found, Principal | Fault)
    return found


def test_a_caller_is_identified_by_a_bearer_token() -> None:
    made = plan(route(allow=signed_in))
    token = issue(AUTH, 7, "admin", NOW).encode()
    caller = entry(made, [b"Bearer " + token])
    assert isinstance(caller, Principal)
    assert made.access_control is not None
    assert made.access_control.rule is signed_in
    assert made.access_control.identity_lines(caller, "r", NOW) == b"request-user-id: 7\r\nrequest-user-role: admin\r\n"
    for given, kind in (
        ([], Kind.TOKEN_MISSING),
        ([b"Bearer x"], Kind.TOKEN_CORRUPTED),
        ([token], Kind.TOKEN_CORRUPTED),
    ):
        fault = entry(made, given)
        assert isinstance(fault, Fault)
        assert fault.kind is kind
    late = entry(made, [b"Bearer " + token], NOW + 10**6)
    assert isinstance(late, Fault)
    assert late.kind is Kind.TOKEN_EXPIRED


@pytest.mark.parametrize("who", ["a\r\nx: y", "a\0", "a\x7f", "\u2028", "\ud800"])
def test_nothing_breaks_out_of_an_identity_header(who: str) -> None:
    made = plan(route(allow=signed_in))
    assert made.access_control is not None
    fault = made.access_control.identity_lines(Principal(who), "r", NOW)
    assert isinstance(fault, Fault)
    assert fault.kind is Kind.TOKEN_CORRUPTED
    assert fault.cause == "the value for request-user-id has control characters"


@pytest.mark.parametrize(
    ("raw", "admitted"), [(b"/u/7", True), (b"/u/%37", True), (b"/u/8", False), (b"/u/7%2F", False)]
)
def test_owners_are_compared_with_what_the_service_will_read(raw: bytes, admitted: bool) -> None:
    made = compile_config([route("/u/{id}", allow=owner("id"))], runtime=Runtime(AUTH), identity={}).table
    match = made.match(b"GET", raw)
    assert isinstance(match, Match)
    assert match.plan.access_control is not None
    assert match.plan.access_control.rule.check(Principal("7"), match.params) is admitted


def test_all_problems_are_listed_at_once_each_with_its_route() -> None:
    other = replace(USERS, limits=ORDERS.limits, targets=["http://127.0.0.1:9"])

    found = problems(
        route("/ok"),
        route("nowhere"),
        route("/x/{id}", allow=owner("user_id")),
        route("/y", rewrite="/{z}"),
        route("/z", upstream=other),
        route("/twice"),
        route("/twice", methods=("POST", "GET")),
        found=("GET /early: said before",),
    )
    assert [line.partition(": ")[0] for line in found] == [
        "GET /early",
        "GET nowhere",
        "GET /x/{id}",
        "GET /y",
        "GET /z",
        "GET /twice",
    ]
    assert "needs the path parameter {user_id}, which is not there" in found[2]
    assert "two different upstreams are named 'users'; rename one" in found[4]
    assert found[5] == "GET /twice: /twice answers the same requests; remove one of the two"


def test_a_rule_about_callers_needs_auth() -> None:
    (line,) = problems(route(allow=role("admin")), auth=None)
    assert line == "GET /a: allow=role(admin) needs to know the caller; give the gateway auth=Jwt(...)"


def test_problems_of_the_decorators_fail_the_compile() -> None:
    assert problems(route(), found=("GET /b: wrong",)) == ("GET /b: wrong",)


async def test_the_runtime_shows_and_closes_its_pools() -> None:
    runtime = Runtime(AUTH)
    assert repr(runtime) == "<Runtime idle>"
    assert runtime.snapshot() == Snapshot()
    change = runtime.reconcile()
    live = change.upstream(USERS)
    assert repr(runtime) == "<Runtime idle>"
    runtime.commit(change)
    assert repr(runtime) == "<Runtime <LiveUpstream users 0 idle 0 busy 0 waiting>>"
    assert runtime.snapshot() == Snapshot((UpstreamSnapshot("users", 0, 0, 0),))
    assert runtime.snapshot().drained
    await runtime.drained()
    await runtime.aclose()
    assert repr(runtime) == "<Runtime idle>"
    assert runtime.reconcile().upstream(USERS) is not live
    assert runtime.new_request_id() != runtime.new_request_id()
    assert runtime.now() > 0
