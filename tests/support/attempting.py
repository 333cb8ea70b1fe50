"""The attempts of an exchange without an engine: what decides, over an upstream without a network."""

from random import Random
from typing import Any

from limen import Timeouts, Upstream, anyone
from limen.exchange.hooks import NO_HOOKS, Hooks
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.pipeline.attempts import Attempts
from limen.pipeline.target_attempt import TargetAttempt
from limen.runtime.plan import Plan
from limen.runtime.route import Route
from limen.upstream.live import LiveUpstream
from targets import GET, Time, live


class Attempted:
    """One route to an upstream, and the exchanges on it."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        timeouts: Timeouts | None = None,
        idempotency_key: bool = False,
        deadline_name: bytes = b"",
        hooks: Hooks = NO_HOOKS,
        random: Random | None = None,
    ) -> None:
        """``deadline_name`` is the header that tells how much time is left."""
        self.time = Time()
        self.hooks = hooks
        self.upstream: LiveUpstream = live(upstream, self.time, random)
        timeouts = timeouts or upstream.timeouts
        route = Route(methods=("GET",), path="/", upstream=upstream, allow=anyone, idempotency_key=idempotency_key)
        self.plan = Plan(
            route=route,
            upstream=self.upstream,
            timeouts=timeouts,
            body_silence=30.0,
            withheld_headers=frozenset(),
            access_control=None,
            rewrite=None,
            answer_hooks={},
            session_ender=None,
            hooks=hooks,
            deadline=-1.0 if timeouts.deadline is None else timeouts.deadline,
            deadline_name=deadline_name,
            name="GET /",
        )

    def exchange(self, request: Request = GET, own_lines: bytes = b"") -> Attempts:
        """Return the attempts of another exchange."""
        outcome = Outcome(request.method, request.path, "test", b"192.0.2.1")
        return Attempts(self.plan, request, self.hooks, outcome, own_lines)

    def begun(self, request: Request = GET) -> tuple[Attempts, TargetAttempt]:
        """Return the attempts of another exchange, and the first of them, which has begun."""
        attempts = self.exchange(request)
        return attempts, next_of(attempts)

    def learn(self, seconds: float, number: int = 0, count: int = 50) -> None:
        """Let the target of this number know how long the route takes."""
        latency = self.upstream.targets[number].latency("GET /", 50)
        for _ in range(count):
            latency.add(seconds, self.time.seconds)


def next_of(attempts: Attempts) -> TargetAttempt:
    """Begin the next attempt, where there are several targets."""
    trial: Any = attempts.begin()
    assert isinstance(trial, TargetAttempt)
    return trial
