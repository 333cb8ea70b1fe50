"""What lives from one compile to the next: what is kept, made and removed, and what a failed compile changes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import ClassVar

import pytest

from compiling import A, compiled, fake_network, listeners, plan, route, source, turns, upstreams, verifier
from limen import DeclarationError, Gateway, Limits, Timeouts, Tls, Upstream, signed_in
from limen.auth import Issuer, Jwt, Methods, Revocations
from limen.exchange.policy import Environment, Policy
from limen.runtime.declared_policies import DeclaredPolicies
from limen.runtime.plan import Plan
from limen.runtime.state import Runtime
from limen.upstream.connection import Connection
from limen.upstream.pool import Pool
from tokens import NOW, SECRET

TOKENS = Jwt(SECRET)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    return fake_network(monkeypatch)


@pytest.fixture(autouse=True)
def _offline(network: list[Connection]) -> None: ...


# --- upstreams ---


def only_pool(plan: Plan) -> Pool:
    """Return the pool of the only target."""
    (target,) = plan.upstream.targets
    return target.pool


@pytest.mark.parametrize(
    ("again", "kept", "pool_kept"),
    [
        (replace(A), True, True),
        (replace(A, timeouts=Timeouts(idle=7)), True, True),
        (replace(A, targets=["http://b"]), False, False),
        (replace(A, targets=["http://a", "http://b"]), False, True),
        (replace(A, limits=Limits(connections=2)), False, False),
        (replace(A, name="other"), False, False),
    ],
    ids=["equal", "timeouts", "target", "targets", "limits", "name"],
)
async def test_a_pool_is_kept_while_its_target_limits_and_tls_have_not_changed(
    again: Upstream, kept: bool, pool_kept: bool
) -> None:
    runtime = Runtime()
    before = plan(compiled(runtime, route()))
    pool = before.upstream.targets[0].pool
    connection = await pool.acquire(1)
    pool.release(connection)
    after = plan(compiled(runtime, route(again)))
    assert (after.upstream is before.upstream) is kept
    assert after.upstream.upstream is again
    assert after.timeouts is again.timeouts
    now = after.upstream.targets[0].pool
    assert (now is pool) is pool_kept
    assert now.idle() is (connection if pool_kept else None)
    assert connection.reusable is pool_kept
    assert upstreams(runtime) == [again.name]
    if not pool_kept:
        assert (await now.acquire(1)).target == again.addresses[0]
    await runtime.aclose()


async def test_no_connection_outlives_a_change_of_tls() -> None:
    runtime = Runtime()
    secure = replace(A, targets=["https://a"])
    pool = only_pool(plan(compiled(runtime, route(secure))))
    connection = await pool.acquire(1)
    pool.release(connection)
    after = only_pool(plan(compiled(runtime, route(replace(secure, tls=Tls(server_name="a.internal"))))))
    assert after is not pool
    assert not connection.reusable
    await runtime.aclose()


async def test_of_several_targets_those_that_go_lose_their_connections_and_the_others_stay() -> None:
    runtime = Runtime()
    two = replace(A, targets=["http://a", "http://b"])
    before = plan(compiled(runtime, route(two))).upstream
    going, staying = (target.pool for target in before.targets)
    lost, kept = await going.acquire(1), await staying.acquire(1)
    going.release(lost)
    staying.release(kept)
    after = plan(compiled(runtime, route(replace(A, targets=["http://b", "http://c"])))).upstream
    assert [str(target.target) for target in after.targets] == ["http://b", "http://c"]
    assert after.targets[0] is before.targets[1]
    assert (lost.reusable, staying.idle()) == (False, kept)
    await runtime.aclose()


async def test_an_exchange_finishes_with_the_pool_that_it_began_with(network: list[Connection]) -> None:
    runtime = Runtime()
    before = only_pool(plan(compiled(runtime, route())))
    busy = await before.acquire(1)
    waiting = asyncio.ensure_future(before.acquire(1))
    await turns()
    after = only_pool(plan(compiled(runtime, route(replace(A, targets=["http://b"])))))
    assert repr(before) == "<Pool svc http://a 0 idle 1 busy 1 waiting>"
    assert busy.reusable
    assert upstreams(runtime) == ["svc", "svc"]  # what is in use is shown, and waited for
    drained = asyncio.ensure_future(runtime.drained())
    before.release(busy)
    assert not busy.reusable
    late = await waiting
    assert late is not busy
    assert upstreams(runtime) == ["svc", "svc"]
    before.release(late)
    assert not late.reusable
    await drained
    assert (repr(before), upstreams(runtime)) == ("<Pool svc http://a 0 idle 0 busy 0 waiting>", ["svc"])
    # One that chose its plan before, and comes for a connection only now.
    last = await before.acquire(1)
    assert upstreams(runtime) == ["svc", "svc"]
    lost = await after.acquire(1)
    assert lost.target.host == "b"
    before._lost(last)  # pyright: ignore[reportPrivateUsage] - as a connection says that it is over
    assert upstreams(runtime) == ["svc"]
    await runtime.aclose()
    assert len(network) == 4


async def test_retired_pools_in_use_are_closed_with_the_runtime() -> None:
    runtime = Runtime()
    pool = only_pool(plan(compiled(runtime, route())))
    busy = await pool.acquire(1)
    compiled(runtime, route(replace(A, name="other")))
    assert upstreams(runtime) == ["other", "svc"]
    await runtime.aclose()
    assert not busy.reusable
    assert upstreams(runtime) == []


async def test_a_place_in_line_that_is_given_up_leaves_nothing() -> None:
    runtime = Runtime()
    pool = only_pool(plan(compiled(runtime, route())))
    busy = await pool.acquire(1)
    compiled(runtime, route(replace(A, name="other")))
    waiting = asyncio.ensure_future(pool.acquire(1))
    await turns()
    pool.release(busy)
    waiting.cancel()
    await turns()
    assert (waiting.cancelled(), upstreams(runtime)) == (True, ["other"])
    await runtime.aclose()


async def test_upstreams_are_shown_in_the_order_of_their_declaration() -> None:
    runtime = Runtime()
    other = Upstream("other", ["http://o"])
    compiled(runtime, route(), route(other, "/o"))
    assert upstreams(runtime) == ["svc", "other"]
    compiled(runtime, route(other, "/o"), route())
    assert upstreams(runtime) == ["other", "svc"]


# --- policies ---


class Live:
    """Counts what happens to it; ``declared`` is what it lives by."""

    def __init__(self, declared: Policy, environment: Environment) -> None:
        self.declared = declared
        self.environment = environment
        self.closed = 0

    def arrive(self, request: object) -> None: ...

    def close(self) -> None:
        self.closed += 1


class Renewable(Live):
    def reconcile(self, declared: Policy) -> None:
        self.declared = declared


@dataclass(frozen=True)
class Kept:
    """A policy; ``born`` gets what lives of it."""

    rank: ClassVar[int] = 1
    adds: ClassVar[bool] = True
    born: list[Live] = field(compare=False, repr=False)
    name: str = "kept"
    says: str = ""
    fails: str = ""
    kind: Callable[[Policy, Environment], Live] = Live

    def live(self, environment: Environment) -> Live:
        if self.fails:
            raise ValueError(self.fails)
        self.born.append(made := self.kind(self, environment))
        return made


def test_a_live_policy_is_kept_by_its_place_its_kind_and_its_name() -> None:
    born: list[Live] = []
    runtime = Runtime()
    one = Kept(born)
    config = compiled(runtime, route(), route(path="/b"), policies=[one])
    assert len(born) == 1  # for all routes
    for hooks in (config.hooks, plan(config).hooks, plan(config, b"/b").hooks):
        assert hooks.arrive == (born[0].arrive,)
    again = compiled(runtime, route(), policies=[Kept(born)])
    assert again.hooks.arrive == (born[0].arrive,)
    # The same declaration in two places lives twice; another name is another policy.
    placed = DeclaredPolicies("GET /a", (one,))
    mine = compiled(runtime, route(policies=(placed,)), policies=[Kept(born), Kept(born, name="second")])
    assert len(born) == 3
    assert [hook.__self__ for hook in plan(mine).hooks.arrive] == [born[1], born[2]]  # pyright: ignore[reportFunctionMemberAccess]
    assert [live.closed for live in born] == [0, 0, 0]
    compiled(runtime, route())
    assert [live.closed for live in born] == [1, 1, 1]


def test_a_changed_policy_is_reconciled_or_replaced() -> None:
    born: list[Live] = []
    runtime = Runtime()
    compiled(runtime, policies=[Kept(born), Kept(born, "renewable", kind=Renewable)])
    compiled(runtime, policies=[Kept(born, says="x"), Kept(born, "renewable", says="x", kind=Renewable)])
    assert [(live.declared.name, getattr(live.declared, "says"), live.closed) for live in born] == [  # noqa: B009
        ("kept", "", 1),
        ("renewable", "x", 0),
        ("kept", "x", 0),
    ]


async def test_a_policy_gets_its_environment_from_the_runtime() -> None:
    born: list[Live] = []
    draws = Random(7)
    compiled(Runtime(now=lambda: NOW, monotonic=lambda: 5.0, random=draws), policies=[Kept(born)])
    environment = born[0].environment
    assert (environment.now(), environment.monotonic(), environment.random) == (NOW, 5.0, draws)
    runtime = Runtime()
    compiled(runtime, policies=[Kept(born)])
    assert born[1].environment.monotonic() <= born[1].environment.monotonic()
    assert 0 <= born[1].environment.random.random() < 1
    await runtime.aclose()
    assert born[1].closed == 1


# --- a compile that fails ---


async def test_a_failed_compile_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = source(monkeypatch)
    born: list[Live] = []
    runtime = Runtime(revocations=Revocations())
    config = compiled(
        runtime,
        route(allow=signed_in, auth=Methods.of(TOKENS)),
        policies=[Kept(born), Kept(born, "renewable", kind=Renewable)],
    )
    pool = only_pool(plan(config))
    idle = await pool.acquire(1)
    pool.release(idle)
    known = verifier(runtime, TOKENS)
    outside = Issuer("https://idp.example", audience="shop")
    with pytest.raises(DeclarationError) as caught:
        compiled(
            runtime,
            route(replace(A, targets=["http://b"]), allow=signed_in, auth=Methods.of(outside)),
            policies=[
                Kept(born, says="x"),
                Kept(born, "renewable", says="x", kind=Renewable),
                Kept(born, "bad", fails="Kept: cannot be"),
            ],
        )
    assert caught.value.problems == ("Gateway: Kept: cannot be",)
    await turns()
    assert keys.closed  # what was made in vain is ended
    assert listeners(runtime) == "<RevocationRelay 1 listeners>"
    assert [(live.declared.name, getattr(live.declared, "says"), live.closed) for live in born] == [  # noqa: B009
        ("kept", "", 0),
        ("renewable", "", 0),
        ("kept", "x", 1),
    ]
    assert verifier(runtime, TOKENS) is known
    assert (pool.idle(), upstreams(runtime)) == (idle, ["svc"])
    await runtime.aclose()


@dataclass(frozen=True)
class Breaks:
    """A policy that raises in one of its methods, which no policy may."""

    rank: ClassVar[int] = 1
    adds: ClassVar[bool] = False

    where: str
    number: int = 0
    name: str = "breaks"

    def live(self, environment: Environment) -> object:
        if self.where == "live":
            raise LookupError("a mistake")
        return LiveBreaks(self)


class LiveBreaks:
    """What lives of it."""

    def __init__(self, declared: Breaks) -> None:
        self.declared = declared

    def _look(self, where: str) -> None:
        if where == self.declared.where:
            raise LookupError("a mistake")

    def reconcile(self, declared: Breaks) -> None:
        self._look("reconcile")

    def close(self) -> None:
        self._look("close")


def test_a_policy_that_raises_when_it_is_compiled_is_a_problem_with_a_place() -> None:
    with pytest.raises(DeclarationError, match=r"Breaks.* raised LookupError when it was compiled: a mistake"):
        Gateway(policies=[Breaks("live")]).compile()


def test_a_policy_that_raises_afterwards_keeps_no_other_from_its_end(caplog: pytest.LogCaptureFixture) -> None:
    runtime = Runtime()
    for policies in ((Breaks("reconcile"),), (Breaks("reconcile", 1),), (), (Breaks("close"),), ()):
        compiled(runtime, route(), policies=policies)
    assert [record.getMessage() for record in caplog.records] == [
        "reconcile() of the policy LiveBreaks failed",
        "close() of the policy LiveBreaks failed",
    ]
