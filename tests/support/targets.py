"""Upstreams of several targets without a network: the time and the dice are the test's."""

import ssl
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from limen import Upstream
from limen.exchange.request import Request
from limen.testing import make_request
from limen.upstream.connection import Connection
from limen.upstream.live import LiveUpstream
from limen.upstream.live_target import LiveTarget
from limen.upstream.network import MakeConnection
from limen.upstream.target import Target

GET: Request = make_request("GET", "/")


class Time:
    """Seconds of a clock that never goes back, and seconds since the epoch; the test adds to ``seconds``."""

    def __init__(self) -> None:
        """Begin somewhere."""
        self.seconds: float = 1000.0

    def clock(self) -> float:
        """Return the seconds."""
        return self.seconds

    def now(self) -> float:
        """Return seconds since the epoch."""
        return 1_700_000_000.0 + self.seconds


class Loaded(Random):
    """Dice that fall as they are told to: always on ``value``."""

    def __init__(self, value: float) -> None:
        """``value`` is from 0 to 1, 1 excluded."""
        super().__init__(0)
        self.value = value

    def random(self) -> float:
        """Return the value."""
        return self.value


class NoNetwork:
    """What decides opens nothing."""

    async def connect(
        self,
        upstream: Upstream,
        target: Target,
        make: MakeConnection,
        tls: Callable[[], ssl.SSLContext | None],
        deadline: float | None,
    ) -> Connection:
        """Fail: nobody is to connect."""
        raise AssertionError(f"a connection to {target} is opened")

    async def addresses(self, host: str, deadline: float | None) -> tuple[str, ...]:
        """Fail: nobody is to look anything up."""
        raise AssertionError(f"{host} is looked up")

    def close(self) -> None:
        """Nothing is open."""


def urls(count: int) -> list[str]:
    """Return the addresses of so many targets."""
    return [f"http://10.0.0.{number}:8000" for number in range(1, count + 1)]


def declared(count: int = 3, **parts: Any) -> Upstream:
    """Return an upstream with so many targets."""
    return Upstream("svc", urls(count), **parts)


def live(
    upstream: Upstream | None = None, time: Time | None = None, random: Random | None = None, **options: Any
) -> LiveUpstream:
    """Return what lives of ``upstream``: of three targets, unless it says otherwise."""
    time = time or Time()
    return LiveUpstream(
        declared() if upstream is None else upstream,
        NoNetwork(),
        clock=time.clock,
        now=time.now,
        random=random or Random(1),
        **options,
    )


def states(upstream: LiveUpstream) -> list[str]:
    """Return the state of each target."""
    return [target.state for target in upstream.snapshot().targets]


def fail(upstream: LiveUpstream, target: LiveTarget, times: int = 3) -> None:
    """Let attempts at ``target`` fail, by default as often as ejects it."""
    for _ in range(times):
        upstream.failed(target, "refused", upstream.clock())


def begin(
    upstream: LiveUpstream, request: Request = GET, tried: Sequence[LiveTarget] = (), *, repeatable: bool = True
) -> tuple[LiveTarget, bool]:
    """Begin an attempt; return its target, and whether it is a probe."""
    target = upstream.choose(request, list(tried), repeatable=repeatable)
    return target, upstream.began(target, again=bool(tried))


def ask(upstream: LiveUpstream, status: int = 200, request: Request = GET, *, repeatable: bool = True) -> LiveTarget:
    """Make one attempt, which is answered with ``status``, 0 for none; return its target."""
    target, probe = begin(upstream, request, repeatable=repeatable)
    if status:
        upstream.answered(target, status, upstream.clock())
    else:
        upstream.failed(target, "refused", upstream.clock())
    upstream.ended(target, again=False, probe=probe)
    return target
