"""The attempts of one exchange, steps 8 to 10: at which target, within which time, and whether another one follows.

1. ``begin``         pick a target; the ``Attempt`` of an engine makes the try, and tells ``TargetAttempt`` what came of it
2. ``hedge_after``   after how long a second attempt begins elsewhere, while the first goes on (``may_hedge``)
3. ``after_fault``, ``after_status``   after how long another attempt follows the one that has failed, if any may

A request that authenticates its connection (NTLM, Negotiate), or has a private connection, goes to no other target once it
was sent: there nobody knows the client.

Where an upstream has one target, nothing is picked, hedged or counted: there is no ``TargetAttempt``.
"""

from typing import Final, final

from limen.errors import Fault
from limen.exchange.attempt import AttemptResult
from limen.exchange.hooks import Hooks
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.http.headers import Headers, block
from limen.pipeline.settle import policy_failed
from limen.pipeline.target_attempt import OF_THE_CONTENT, TargetAttempt
from limen.runtime.plan import Plan
from limen.upstream.learned_latency import LearnedLatency
from limen.upstream.live import LiveUpstream
from limen.upstream.live_target import LiveTarget
from limen.upstream.retry import IDEMPOTENT, MOST_AT_ONE_TARGET, MOST_ATTEMPTS
from limen.upstream.target_health import IN

NO_TARGETS: Final[list[LiveTarget]] = []
"""Stands for what was tried until something is: nothing is ever added to it."""

NEVER: Final = -1.0
"""No other attempt follows."""

_IDEMPOTENT: Final = IDEMPOTENT  # compiled, a constant of this module needs no look-up

_KEY: Final = b"idempotency-key"


@final
class Attempts:
    """All tries of one exchange. ``connecting`` is how many seconds getting a connection has taken, all tries together.

    ``private`` says that the connection serves this client alone (``limen.upstream.private_connections``).
    """

    __slots__ = (
        *("_answering", "_bound", "_hooks", "_outcome", "_own_lines", "_plan", "_request", "_reserved", "_since"),
        *("_stale", "_tried", "answered_number", "connecting", "count", "learns", "private", "repeatable", "streams"),
        *("upstream",),
    )

    def __init__(self, plan: Plan, request: Request, hooks: Hooks, outcome: Outcome, own_lines: bytes) -> None:
        """``own_lines`` are what the gateway adds to the head for the service."""
        self._plan = plan
        self._request = request
        self._hooks = hooks
        self._outcome = outcome
        self._own_lines = own_lines
        self.upstream: LiveUpstream = plan.upstream
        self.connecting: float = 0.0
        self.count: int = 0
        self.repeatable: bool = False  # known once it may matter
        self.learns: bool = (
            False  # how long its route takes; from no body that streams, which takes what its client takes
        )
        self._since: float = 0.0  # when the first attempt began
        self._stale: bool = False  # one has met a connection that the service had closed
        self._reserved: bool = False  # a place within the budget of retries, until the next attempt begins
        self._tried: list[LiveTarget] = NO_TARGETS
        self.private: bool = False
        self.streams: bool = False  # its body passes as it comes
        self._bound: LiveTarget | None = None  # which has the next attempt, whoever else is well
        self._answering: LiveTarget | None = None
        self.answered_number: int = 0  # of the attempt that was answered last

    # --- one attempt ---

    def latency_at(self, target: LiveTarget) -> LearnedLatency:
        """Return what is known of how long the route takes at ``target``."""
        hedge = self.upstream.hedge
        assert hedge is not None
        return target.latency(self._plan.name, hedge.samples)

    def bind(self, target: LiveTarget) -> None:
        """8. Make the next attempt at ``target``, to which the client has a private connection."""
        self.private = True
        self._bound = target

    def begin(self) -> TargetAttempt | None:
        """8. Pick the target of the next attempt; None where there is but one (``upstream.only``)."""
        upstream = self.upstream
        only = upstream.only
        if only is not None:
            self.count += 1
            self._outcome.attempts += 1
            self._outcome.target = only.name
            return None
        now = upstream.clock()
        if self._tried is NO_TARGETS:  # a name that was looked up meanwhile may have made several targets of one
            self._since = self._since or now
            self.repeatable = self._is_repeatable()
            self.learns = self.repeatable and not self.streams and upstream.hedge is not None
        again = self.count > 0
        self.give_up()  # the attempt itself counts from now on
        target = self._bound or upstream.choose(self._request, self._tried, repeatable=self.repeatable)
        self._bound = None
        probe = upstream.began(target, again=again)
        self.count += 1
        self._outcome.attempts += 1
        if self._tried:
            self._tried.append(target)
        else:
            self._tried = [target]
        self._outcome.target = target.name
        return TargetAttempt(self, target, now, number=self.count, probe=probe)

    def put_off(self, attempt: TargetAttempt | None) -> None:
        """Do not make ``attempt``, which was begun last, yet."""
        self.count -= 1
        self._outcome.attempts -= 1
        if attempt is not None:
            attempt.end()
            self._tried.pop()

    def give_up(self) -> None:
        """Make no attempt of those that were promised: others may have its place within the budget."""
        if self._reserved:
            self._reserved = False
            self.upstream.retrying -= 1

    def answering(self, target: LiveTarget, number: int) -> None:
        """Take note which target answers, to which attempt: of two, it may be the first or the second."""
        self._answering = target
        self.answered_number = number
        self._outcome.target = target.name

    def binding_lines(self) -> Headers:
        """11. Return the lines that bind the client to the target that answers, unless it is bound to a well one."""
        sticky, target = self.upstream.sticky, self._answering
        if sticky is None or target is None:
            return []
        bound = sticky.named(self.upstream.targets, self._request)
        return sticky.lines(target, self._request) if bound is None or bound.health.state != IN else []

    def time_to_connect(self) -> float | None:
        """8. Return how many seconds there are for a connection; None is no bound.

        While there are other targets, one that does not answer may not use up the time of those that would.
        """
        connect = self._plan.timeouts.connect
        if connect is None:
            return self._left()
        left = max(0.0, connect - self.connecting)
        if self.upstream.only is None and self.upstream.another(self._tried):
            left /= 2
        deadline = self._left()
        return left if deadline is None else min(left, deadline)

    def lines(self, target: str) -> bytes:
        """9. Return the lines that the gateway adds for one attempt at ``target``."""
        lines = self._own_lines
        if self._plan.deadline_name:
            left = self._left()
            lines += b"%b: %d\r\n" % (self._plan.deadline_name, 0 if left is None else int(left * 1000))
        for hook in self._hooks.attempt_head:
            lines += block(hook(self._request, target))
        return lines

    def time_to_answer(self, seconds: float | None, *, replayable: bool) -> float | None:
        """9. Return how many of so many ``seconds`` there are for the head of an answer; None is no bound.

        An attempt that could be made again elsewhere has the time that ``Retry`` gives one, if it gives any.
        """
        retry = self.upstream.retry
        if (
            retry is not None
            and retry.timeout >= 0.0
            and replayable
            and self.repeatable
            and not self.private
            and self.count < retry.attempts
            and self.upstream.only is None
            and self.upstream.another(self._tried)
        ):
            seconds = retry.timeout if seconds is None else min(seconds, retry.timeout)
        left = self._left()
        return seconds if left is None else left if seconds is None else min(seconds, left)

    def ended(self, result: AttemptResult) -> None:
        """10. Tell the policies; that one of them fails changes nothing for the request."""
        for hook in self._hooks.attempt_ended:
            try:
                hook(self._request, result)
            except Exception:
                policy_failed(self._outcome)

    # --- another attempt ---

    def hedge_after(self, first: TargetAttempt) -> float:
        """10. Return after how many seconds another attempt may begin while ``first`` goes on; 0 for no time at all."""
        hedge = self.upstream.hedge
        if not self.repeatable or self.private or hedge is None:
            return 0.0
        first.latency = latency = self.latency_at(first.target)
        p99 = latency.p99
        if p99 == 0.0:  # it is new, or back: the others know how long this takes
            for target in self.upstream.targets:
                p99 = max(p99, target.p99(self._plan.name))
        seconds = hedge.initial if p99 == 0.0 else max(hedge.floor, hedge.factor * p99)
        return seconds if seconds <= hedge.ceiling else 0.0

    def most_kept(self) -> int:
        """Return how many bytes of a body that streams are kept for another attempt, or service; asked before any begins."""
        retry = self.upstream.retry
        fallback = self._plan.fallback
        elsewhere = self.upstream.only is None or (fallback is not None and fallback.plan is not None)
        return 0 if retry is None or not elsewhere or not self._is_repeatable() else retry.body

    def is_failure(self, status: int) -> bool:
        """Tell whether an answer of ``status`` is worse than that of an attempt that has not been answered yet."""
        retry = self.upstream.retry
        return retry is not None and status in retry.statuses

    def may_hedge(self, *, replayable: bool) -> bool:
        """10. Tell whether a second attempt may begin now, while the first goes on."""
        return replayable and self._may_go_elsewhere()

    def after_fault(self, fault: Fault, *, sent: bool, reused: bool, replayable: bool) -> float:
        """10. Return after how many seconds to try again, after an attempt of whose answer nothing has been used.

        ``sent`` says that some of the request was written, ``reused`` that the connection had served before and brought no
        byte of an answer, ``replayable`` that all of the body is still at hand. NEVER is for no other attempt.
        """
        if not replayable or self.count >= MOST_ATTEMPTS or self._late():
            return NEVER
        kind = fault.kind
        if not sent and kind.stage == "connect":
            self.upstream.look_up_soon()
        stale = kind.retry == "reused" and sent and reused
        if self.upstream.only is not None:
            stale = stale and self._is_repeatable()
            again = kind.retry == "unsent" or (kind.retry == "reused" and not sent) or stale
            return 0.0 if again and self.count < MOST_AT_ONE_TARGET else NEVER
        if not sent and kind.stage == "connect":
            return 0.0 if self.upstream.reachable(self._tried) else NEVER
        if kind.retry == "reused" and not sent:
            self._stay()
            return 0.0
        if stale and self.repeatable and not self._stale:
            # The service had closed it before it saw the request: any target will do, unless it knew the client.
            self._stale = True
            self._stay()
            return 0.0
        if kind.source != "upstream" or kind in OF_THE_CONTENT or not self._may_go_elsewhere():
            return NEVER
        return self._pause()

    def after_status(self, status: int, *, replayable: bool) -> float:
        """10. Return after how many seconds to try again in place of an answer of ``status``; NEVER passes it on."""
        retry = self.upstream.retry
        if retry is None or status not in retry.statuses or not replayable or not self._may_go_elsewhere():
            return NEVER
        return self._pause()

    def _stay(self) -> None:
        """Make the next attempt where the last one was, if the client is known there, or if no other target is well."""
        if self._tried and (self.private or not self.upstream.another(self._tried)):
            self._bound = self._tried[-1]

    # --- another service ---

    def gives_way(self) -> bool:
        """8. Tell whether the fallback is to answer at once: no target is well, or too few are, and others find out."""
        return self._plan.fallback is not None and not self.upstream.takes(repeatable=self._is_repeatable())

    def may_go_to_another_service(self, *, sent: bool, replayable: bool) -> bool:
        """10. Tell whether the fallback may have the request: it was never sent, or it may be repeated; and in time."""
        if not replayable or (sent and (self.private or not self._is_repeatable())):
            return False
        return self._plan.timeouts.deadline is None or not self._late()

    def follow(self, earlier: "Attempts") -> None:
        """Take the place of ``earlier`` ones at another service: a deadline goes on."""
        if earlier._plan.timeouts.deadline is not None:
            self._since = earlier._since

    def _is_repeatable(self) -> bool:
        request = self._request
        method = request.method
        # Nearly all are GET, and to compare costs less than to hash.
        return method == b"GET" or method in _IDEMPOTENT or (self._plan.route.idempotency_key and has_key(request))

    def _may_go_elsewhere(self) -> bool:
        """Tell whether what may have been done may be done again: at another target that is well, and within the budget."""
        upstream = self.upstream
        retry = upstream.retry
        if (
            self.private
            or not self.repeatable
            or retry is None
            or self.count >= retry.attempts
            or upstream.only is not None
        ):
            return False
        if upstream.retrying >= max(retry.least, retry.budget * upstream.waiting):
            return False
        return upstream.another(self._tried) and not self._late()

    def _pause(self) -> float:
        """Return how long to wait, with a place within the budget meanwhile; NEVER if the deadline is over by then."""
        retry = self.upstream.retry
        assert retry is not None
        seconds = self.upstream.random() * retry.backoff * 2.0 ** (self.count - 1)
        left = self._time_for_more()
        if left is not None and seconds >= left:
            return NEVER
        # Its place is kept during the pause: else all that fail at once would find the same place free.
        if not self._reserved:
            self._reserved = True
            self.upstream.retrying += 1
        return seconds

    def _left(self) -> float | None:
        """Return how many seconds are left for an answer to begin; None where there is no bound, or where nothing has begun.

        Without a deadline, the attempts after the first have what the first one would have had. That does not hold for a body
        that streams: its client may take any time, and its answer is waited for from its end on.
        """
        seconds = self._plan.deadline
        if seconds < 0.0 and (self.count < 2 or self.streams):
            return None
        return self._left_to_begin()

    def _left_to_begin(self) -> float | None:
        """Return how many seconds are left in which another attempt may begin; None where there is no bound."""
        seconds = self._plan.deadline
        if seconds < 0.0:
            timeouts = self._plan.timeouts
            if timeouts.connect is None or timeouts.first_byte is None:
                return None
            seconds = timeouts.connect + timeouts.first_byte
        if not self._since:
            self._since = self.upstream.clock()
        return max(0.0, seconds - (self.upstream.clock() - self._since))

    def _time_for_more(self) -> float | None:
        """Return how many seconds are left in which another attempt may begin; None before the first has ended."""
        return None if self._plan.deadline < 0.0 and self.count < 2 else self._left_to_begin()

    def _late(self) -> bool:
        left = self._time_for_more()
        return left is not None and left <= 0.0

    def __repr__(self) -> str:
        """Show how many there were, and where."""
        return f"<Attempts {self.count} {' '.join(target.name for target in self._tried)}>"


def has_key(request: Request) -> bool:
    """Tell whether the request has a key by which the service knows it again (draft-ietf-httpapi-idempotency-key-header)."""
    keys = request.head.all(_KEY)
    return len(keys) == 1 and bool(keys[0])
