"""A gateway before a fleet of scripted targets, in memory and by a clock; what it owes its policies and pools in the end."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, cast

import httpx2
import pytest

from limen import Gateway, Timeouts, Upstream, anyone
from limen.app.collect import Collected
from limen.client.limits import ClientLimits
from limen.errors import Kind
from limen.exchange.attempt import AttemptResult
from limen.exchange.policy import Policy
from limen.routing.find import find
from limen.routing.table import Match
from limen.runtime.route import Route
from limen.testing import Clock, EveryHook, Fleet, Record, flush_log, serving, snapshot
from limen.upstream.balance import RoundRobin
from limen.upstream.live import LiveUpstream
from limen.upstream.retry import Hedge
from limen.upstream.snapshot import TargetSnapshot

Engine = Literal["direct", "asgi"]
T = TypeVar("T")

STEP = 0.01
"""Seconds by which the clock moves while an answer is awaited."""

SAMPLES = 5
"""Answers after which it is known how long a route takes, instead of the 50 of the default."""

HOOKS = frozenset(("attempt_head", "attempt_ended", "settle"))

IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")


class KeyedGateway(Gateway):
    """A gateway all of whose services honour ``Idempotency-Key``."""

    def _collect(self) -> Collected:
        collected = super()._collect()
        known = vars(self).setdefault("_keyed", dict[int, Route]())  # the same for the same: else it is compiled again
        collected.entries[:] = [
            known.setdefault(id(one), replace(one, idempotency_key=True)) if isinstance(one, Route) else one
            for one in collected.entries
        ]
        return collected


class StillClock(Clock):
    """Time that passes only when the test moves it: what is learned of latency does not depend on the machine."""

    def monotonic(self) -> float:
        """Return seconds of a clock that only goes forward."""
        return self._began + self._moved


@dataclass
class Scene:
    """A gateway in service, its fleet, the time of both, and what its policy has written down."""

    app: Gateway
    fleet: Fleet
    clock: Clock
    client: httpx2.AsyncClient
    record: Record

    async def ask(self, method: str = "GET", path: str = "/svc/x", **options: Any) -> httpx2.Response:
        """Return the answer to one request; the clock moves by small steps until it is there."""
        return await self.answered(self.begin(method, path, **options))

    def begin(self, method: str = "GET", path: str = "/svc/x", **options: Any) -> "asyncio.Task[httpx2.Response]":
        """Begin a request, and let the test move the clock."""
        return asyncio.create_task(
            cast("Coroutine[Any, Any, httpx2.Response]", self.client.request(method, path, **options))
        )

    async def answered(self, asked: "asyncio.Task[T]", *, within: float = 5.0) -> T:
        """Move the clock until ``asked`` is answered, ``within`` seconds of it."""
        for _ in range(round(within / STEP)):
            if asked.done():
                break
            await self.clock.advance(STEP)
        assert asked.done(), f"no answer within {within} s"
        return await asked

    async def all_answered(self, asked: "Sequence[asyncio.Task[T]]") -> list[T]:
        """Return all answers."""
        return [await self.answered(one) for one in asked]

    async def settle(self) -> None:
        """Let everything happen that can happen now."""
        await self.clock.advance(0)

    @property
    def upstream(self) -> LiveUpstream:
        """What lives of the fleet."""
        found = find(self.app.active_config().table, b"GET", b"/svc/x", b"")
        assert isinstance(found, Match)
        return found.plan.upstream

    def targets(self) -> tuple[TargetSnapshot, ...]:
        """Return the state of each target."""
        upstreams = snapshot(self.app).upstreams
        return upstreams[0].targets if upstreams else ()

    def states(self) -> str:
        """Return the states of all targets, such as ``in out probing``."""
        return " ".join(target.state for target in self.targets())

    async def learn(self, samples: int = SAMPLES) -> None:
        """Ask until the gateway knows how long the route takes at each target."""
        for _ in range((samples + 1) * len(self.fleet)):
            assert (await self.ask()).status_code == 200
        self.forget()

    def forget(self) -> None:
        """Forget what the targets got and what the policy has seen."""
        self.fleet.forget()
        assert self.record.broken() == []
        for kept in (self.record.calls, self.record.attempts, self.record.settled):
            kept.clear()

    def attempts_of(self, number: int = -1) -> list[str]:
        """Return how each attempt of a settled request ended: the number of its target and the result, in their order."""
        request_id = self.record.settled[number].request_id
        return [f"{_number(one.target)} {_end(one)}" for which, one in self.record.attempts if which == request_id]

    async def check_end(self) -> None:
        """Insist that nothing is left of any request, and that each was accounted for."""
        await self.clock.advance(0.5)  # a client that has left is noticed by then
        for target in self.fleet:
            target.thaw()
        await self.settle()
        now = snapshot(self.app)
        assert (now.busy, now.waiting) == (0, 0), now
        assert not any(target.in_flight for target in self.targets())
        upstream = self.upstream
        assert (upstream.in_flight, upstream.waiting, upstream.retrying) == (0, 0, 0)
        assert not any(target.health.probe_under_way or target.health.probe_chosen for target in upstream.targets)
        bodies = self.app.active_config().runtime.body_memory
        assert (bodies.total, len(bodies)) == (0, 0)
        assert self.record.broken() == []
        ended = Counter(which for which, _ in self.record.attempts)
        assert {one.request_id: one.attempts for one in self.record.settled if one.attempts} == ended, (
            self.record.attempts
        )
        assert sum(target.in_progress for target in self.fleet) == 0, "a service still waits for what nobody asks"


@asynccontextmanager
async def fleet_gateway(
    engine: str,
    targets: int | Fleet = 3,
    *,
    keyed: bool = False,
    policies: Sequence[Policy] = (),
    limits: ClientLimits | None = None,
    timeouts: Timeouts | None = None,
    max_body: int | None = None,
    **declared: Any,
) -> AsyncGenerator[Scene]:
    """Serve a gateway before a fleet in turn, unless ``declared`` says otherwise; check in the end that nothing is left."""
    if declared.get("retry", True) is not None:
        declared.setdefault("hedge", Hedge(samples=SAMPLES))
    fleet = targets if isinstance(targets, Fleet) else Fleet(targets, "svc")
    clock, record = StillClock(), Record()
    kind = KeyedGateway if keyed else Gateway
    app = kind(policies=[EveryHook(record, phases=HOOKS), *policies], limits=limits)
    app.forward(
        "/svc/{path:path}",
        upstream=upstream_of(fleet, timeouts=timeouts or Timeouts(), **declared),
        allow=anyone,
        max_body=max_body,
    )
    async with serving(app, services=fleet.services, clock=clock, engine=cast("Engine", engine)) as client:
        scene = Scene(app, fleet, clock, client, record)
        yield scene
        await scene.check_end()


def _number(target: str) -> str:
    return target.removesuffix(":8000")[-1:]


def _end(result: AttemptResult) -> object:
    return result.fault.kind.code if result.fault is not None else result.status or "given up"


def upstream_of(fleet: Fleet, **declared: Any) -> Upstream:
    """Declare ``fleet`` as one upstream, whose targets are asked in turn unless ``declared`` says otherwise."""
    declared.setdefault("balance", RoundRobin())
    return Upstream("svc", fleet.urls, **declared)


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    """Return the fields of each line of the access log."""
    flush_log()
    return [dict(re.findall(r"(\S+?)=(\S+)", line)) for line in caplog.messages if " request_id=" in line]


def code(answer: httpx2.Response) -> str:
    """Return the stable name of the fault that a problem document tells."""
    found: str = answer.json()["code"]
    assert found.upper() in Kind.__members__
    return found
