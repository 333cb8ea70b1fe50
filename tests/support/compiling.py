"""Routes compiled against a Runtime, once and again, over pools whose connections are fakes."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from limen import Limits, Upstream, anyone
from limen.auth import Method
from limen.exchange.policy import Policy
from limen.routing.table import Match
from limen.runtime.compile import compile_config
from limen.runtime.declared_policies import GATEWAY, DeclaredPolicies
from limen.runtime.host import ActiveConfig
from limen.runtime.plan import Plan
from limen.runtime.route import Route
from limen.runtime.state import Runtime
from limen.upstream.connection import Connection
from limen.upstream.pool import Pool
from talk import Wire
from turning import timeless

A = Upstream("svc", ["http://a"], limits=Limits(connections=1))


def fake_network(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """Let pools open fake connections; return those that were."""
    opened: list[Connection] = []

    async def connect(pool: Pool, deadline: float) -> Connection:
        connection = Connection(pool.target, 4096, vars(Pool)["_lost"].__get__(pool), timeless())
        connection.connection_made(Wire())
        opened.append(connection)
        return connection

    monkeypatch.setattr(Pool, "_connect", connect)
    return opened


def route(upstream: Upstream = A, path: str = "/a", **options: Any) -> Route:
    """Return a public route, unless ``options`` say otherwise."""
    defaults: dict[str, Any] = {"methods": ("GET",), "path": path, "upstream": upstream, "allow": anyone}
    return Route(**(defaults | options))


def compiled(runtime: Runtime, *routes: Route, policies: Sequence[Policy] = ()) -> ActiveConfig:
    """Compile ``routes`` and the gateway's ``policies``."""
    return compile_config(routes, runtime=runtime, identity={}, policies=DeclaredPolicies(GATEWAY, tuple(policies)))


def plan(config: ActiveConfig, path: bytes = b"/a") -> Plan:
    """Return what answers GET ``path``."""
    found = config.table.match(b"GET", path)
    assert isinstance(found, Match)
    return found.plan


def upstreams(runtime: Runtime) -> list[str]:
    """Return the names of the pools that the snapshot has."""
    return [upstream.name for upstream in runtime.snapshot().upstreams]


def listeners(runtime: Runtime) -> str:
    """Return how many verifiers hear of the early ends of tokens."""
    return repr(runtime._revocation_relay)  # pyright: ignore[reportPrivateUsage] - nothing public tells that nothing piles up


class Source:
    """Where an issuer's keys come from: they come when they are let, and then there are none."""

    def __init__(self) -> None:
        """Hold them back."""
        self.free = asyncio.Event()
        self.closed = False

    async def key_set(self) -> bytes:
        """Return the keys."""
        await self.free.wait()
        return b'{"keys": []}'

    async def aclose(self) -> None:
        """End."""
        self.closed = True


def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    """Let issuers get their keys from the source that is returned."""
    made = Source()

    def provider(config: object, names: object) -> Source:
        return made

    monkeypatch.setattr("limen.runtime.state.Provider", provider)
    return made


def verifier(runtime: Runtime, method: Method) -> Any:
    """Return what verifies ``method`` now, or would."""
    change = runtime.reconcile()
    found = change.verifier(method)
    runtime.roll_back(change)
    return found


async def turns() -> None:
    """Let everything that can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)
