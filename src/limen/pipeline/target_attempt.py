"""One try at one target, as the target's health and the budget of retries see it. No I/O: an engine makes the try itself."""

from typing import TYPE_CHECKING, Final, final

from limen.errors import Fault, Kind
from limen.upstream.learned_latency import LearnedLatency
from limen.upstream.live_target import LiveTarget
from limen.upstream.target_health import PROBING

if TYPE_CHECKING:
    from limen.pipeline.attempts import Attempts

OF_THE_CONTENT: Final = frozenset((Kind.UPSTREAM_TOO_LARGE, Kind.UPSTREAM_CONTRACT))
"""What a fault says of the request, or of what the service is to answer, and not of the target."""


@final
class TargetAttempt:
    """One try at ``target``, as its health and the budget see it. ``end`` is called when it is over, perhaps twice."""

    __slots__ = (
        *("_answered_at", "_attempts", "_counted", "_ended", "_number", "_probe", "_waits", "begun_at", "latency"),
        *("queued", "target"),
    )

    def __init__(self, attempts: "Attempts", target: LiveTarget, begun_at: float, *, number: int, probe: bool) -> None:
        """It is the ``number``-th of its exchange, from 1; ``probe`` says that the target is tried out."""
        self.target = target
        self.begun_at = begun_at
        self.latency: LearnedLatency | None = None  # what is learned from it, once that is known
        self._attempts = attempts
        self._number: int = number
        self._probe = probe
        self._answered_at = begun_at
        self._counted = False  # its result is
        self._ended = False
        self._waits = True
        self.queued: bool = target.pool.full  # behind others, for a connection: that says nothing of the target

    def answered(self, status: int) -> None:
        """Take note of the head of an answer: it may count as a success only once it is whole."""
        attempts = self._attempts
        upstream, target = attempts.upstream, self.target
        attempts.answering(target, self._number)
        now = upstream.clock()
        self._answered_at = now
        self._heard()
        if attempts.learns:
            latency = self.latency
            if latency is None:
                latency = attempts.latency_at(target)
            latency.add(now - self.begun_at, now)
        if status >= 500 or target.health.state == PROBING:  # else a stream that never ends would be a probe for ever
            self._counted = True
            upstream.answered(target, status, now)

    def whole(self, status: int) -> None:
        """Take note that the answer has ended well, or that nobody waited for the rest of it."""
        if not self._counted and status:
            self._counted = True
            self._attempts.upstream.answered(self.target, status, self._answered_at)

    def failed(self, fault: Fault, *, reused: bool) -> None:
        """Take note of a fault. One on a connection that the service had closed meanwhile (``reused``) says nothing of it."""
        kind = fault.kind
        stale = reused and kind.retry == "reused"
        if self._counted or stale or kind.source != "upstream" or kind in OF_THE_CONTENT:
            return
        self._counted = True
        upstream = self._attempts.upstream
        unreachable = fault.kind.stage == "connect"
        upstream.failed(self.target, fault.cause or fault.text, upstream.clock(), unreachable=unreachable)

    def overtaken(self) -> None:
        """Take note that another attempt was answered first: that tells something if it began later than this one."""
        upstream = self._attempts.upstream
        if not self._counted and self._attempts.answered_number > self._number and not self.queued:
            self._counted = True
            now = upstream.clock()
            upstream.overtaken(self.target, now - self.begun_at, now)

    def connected(self) -> None:
        """There is a connection, for which it had to wait: its time at the target begins now."""
        self.queued = False
        self.begun_at = self._attempts.upstream.clock()

    def _heard(self) -> None:
        """Wait no longer for an answer to begin."""
        if self._waits:
            self._waits = False
            self._attempts.upstream.waiting -= 1

    def end(self) -> None:
        """It is over, however it ended."""
        if not self._ended:
            self._ended = True
            self._heard()
            self._attempts.upstream.ended(self.target, again=self._number > 1, probe=self._probe)

    def __repr__(self) -> str:
        """Show at which target."""
        return f"<TargetAttempt {self.target.name}{' ended' if self._ended else ''}>"
