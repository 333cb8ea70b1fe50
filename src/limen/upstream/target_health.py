"""The state of one target: in, out or probing, with a reason and a time.

It is one machine with several triggers: failures in a row, the share of failures in a window, attempts that were overtaken,
and active checks. It decides nothing about other targets: ``limen.upstream.target_set`` says whether it may go out. No I/O.

::

    IN ──(fails)──► OUT ──(its time is over, or checks are good)──► PROBING ──(probes succeed)──► IN, growing
                     ▲                                                 │
                     └──────────────(one fails: longer)────────────────┘
"""

from collections.abc import Callable
from math import inf
from random import Random
from typing import Final, final

from limen.upstream.ejection import Ejection
from limen.upstream.shared_state import Availability, CheckState, DrainState
from limen.upstream.snapshot import TargetState

IN: Final = 0
OUT: Final = 1
PROBING: Final = 2

STATES: Final[tuple[TargetState, ...]] = ("in", "out", "probing")

# Answers that say that a gateway or a service is out of order, and nothing of the request.
_GATEWAY_STATUSES: Final = frozenset((502, 503, 504))

# The least share of its requests that a target gets while it returns.
_LEAST_SHARE: Final = 0.1


@final
class TargetHealth:
    """``state`` says whether the target gets requests, ``reason`` why, since ``since`` (seconds since the epoch).

    ``wants_out`` is a reason to go out, empty without one. ``failing`` says that the target fails, and stays in because
    others could not do without it. ``clock`` gives seconds that never go back, ``now`` seconds since the epoch.
    """

    __slots__ = (
        *("_checks_failed", "_checks_passed", "_clock", "_ejections", "_errors", "_failed", "_failed_before"),
        *("_faults", "_half_began", "_half_window", "_in_since", "_now", "_overtaken", "_overtaken_at", "_probed"),
        *("_random", "_rules", "_successes", "_total", "_total_before", "check_at", "check_failing", "checked"),
        *("drained_since", "failing", "growing", "probe_began", "probe_chosen", "probe_under_way", "reason", "since"),
        *("state", "unreachable", "until", "wants_out"),
    )

    def __init__(
        self, rules: Ejection | None, clock: Callable[[], float], now: Callable[[], float], random: Random
    ) -> None:
        """Begin well. Without ``rules`` only active checks, and ``drain``, change anything."""
        self._rules = rules
        self._half_window: float = 0.0 if rules is None else rules.window / 2
        self._clock = clock
        self._now = now
        self._random = random
        self.state: int = IN
        self.reason: str = ""
        self.since: float = now()
        self.until: float = 0.0  # by ``clock``, while out
        self.wants_out: str = ""
        self.failing: bool = False
        self.growing: bool = False  # its share of requests is less than its own
        self.drained_since: float = 0.0  # seconds since the epoch; 0 while it is not drained
        self.checked: bool = False  # actively, at least once
        self.check_failing: bool = False
        self.unreachable: bool = False  # nobody could connect to it the last time
        self.check_at: float = 0.0  # by ``clock``, when the next check is due; 0 is at once
        self.probe_chosen: bool = False  # between the choice of a target and the attempt
        self.probe_under_way: bool = False
        self.probe_began: float = 0.0  # by ``clock``
        self._successes: int = 0  # in a row
        self._in_since: float = clock()
        self._ejections: int = 0
        self._probed: int = 0
        self._faults: int = 0
        self._errors: int = 0
        self._overtaken: int = 0
        self._overtaken_at: float = 0.0
        self._checks_passed: int = 0
        self._checks_failed: int = 0
        # Requests and failures within the present half of the window, and within the half before.
        self._half_began: float = self._in_since
        self._total: int = 0
        self._failed: int = 0
        self._total_before: int = 0
        self._failed_before: int = 0

    def follow(self, rules: Ejection | None) -> None:
        """Take other rules; the state stays."""
        self._rules = rules
        self._half_window = 0.0 if rules is None else rules.window / 2

    # --- what requests tell ---

    def succeeded(self, now: float) -> bool:
        """Take note of an answer that is no failure, at ``now`` of the clock; True if the state has changed."""
        self._faults = self._errors = self._overtaken = 0
        self.wants_out = ""
        if self.state == PROBING:
            self._probed += 1
            if self._rules is None or self._probed >= self._rules.probes:
                self._come_in()
                return True
            return False
        self._count(now)
        if self.failing:
            # Not with the first: one that fails every second time would change its state all the time.
            self._successes += 1
            if self._rules is None or self._successes >= self._rules.probes:
                self.failing = False
                self._forget_window()
                self._say("")
                return True
        return False

    def failed(self, what: str, now: float, *, status: int = 0) -> None:
        """Take note of a failure: an answer of ``status``, which is 5xx, or none at all."""
        rules = self._rules
        if rules is None or self.state == OUT:
            return
        if status:
            self._errors += 1
        if not status or status in _GATEWAY_STATUSES:
            self._faults += 1
        if self.state == PROBING:
            self.wants_out = f"a probe failed: {what}"
        elif self._faults >= rules.faults:
            self.wants_out = _in_a_row(self._faults, "failures", what)
        elif self._errors >= rules.errors:
            self.wants_out = _in_a_row(self._errors, "answers of 5xx", what)
        else:
            self._judge_share(what, now)

    def overtaken(self, seconds: float, now: float) -> None:
        """Take note that another target, asked later, answered first; ``seconds`` had passed without an answer.

        Attempts that were under way together count once: they all wait while the target pauses, and a pause is no outage.
        """
        rules = self._rules
        if rules is None or self.state == OUT or now - seconds < self._overtaken_at:
            return  # the same pause of the target as the last time
        self._overtaken_at = now
        self._overtaken += 1
        what = f"no answer within {seconds * 1000:.0f} ms, in which another target answered"
        if self.state == PROBING:
            self.wants_out = f"a probe failed: {what}"
        elif self._overtaken >= rules.overtaken:
            self.wants_out = f"{self._overtaken} times in a row: {what}" if self._overtaken > 1 else what
        else:
            self._judge_share(what, now)

    def _judge_share(self, what: str, now: float) -> None:
        rules = self._rules
        assert rules is not None
        self._count(now)
        self._failed += 1
        total, failed = self._total + self._total_before, self._failed + self._failed_before
        if total >= rules.volume and failed >= rules.share * total:
            self.wants_out = f"{failed} of {total} requests failed within {rules.window:g} s, the last: {what}"

    def _count(self, now: float) -> None:
        """Count a request in the present half of the window."""
        age = now - self._half_began
        if age > self._half_window:
            self._total_before, self._failed_before = self._total, self._failed
            self._half_began += self._half_window
            if age > 2.0 * self._half_window:
                self._total_before = self._failed_before = 0
                self._half_began = now
            self._total = self._failed = 0
        self._total += 1

    def _forget_window(self) -> None:
        self._half_began = self._clock()
        self._total = self._failed = 0
        self._total_before = self._failed_before = 0

    # --- what checks tell ---

    def check_passed(self, rise: int) -> bool:
        """Take note of a good check; True if the state has changed. After ``rise`` in a row the target may return."""
        self._checks_failed = 0
        self._checks_passed += 1
        first = not self.checked
        self.checked = True
        if not first and self._checks_passed < rise:
            return False
        was_failing = self.check_failing
        return self._let_return() or was_failing

    def check_failed(self, what: str, fall: int) -> bool:
        """Take note of a bad check; True if the state has changed. After ``fall`` in a row, or with the first, it is out."""
        self._checks_passed = 0
        self._checks_failed += 1
        first = not self.checked
        self.checked = True
        if (not first and self._checks_failed < fall) or self.check_failing:
            return False
        self.check_failing = True
        count = self._checks_failed
        self._go_out(
            f"{count} checks in a row failed, the last: {what}" if count > 1 else f"the check failed: {what}", inf
        )
        return True

    def unchecked(self) -> None:
        """Forget what checks have told: there are none any more."""
        self.checked = False
        self.check_at = 0.0
        self._checks_passed = self._checks_failed = 0
        if self.check_failing:
            self.check_failing = False
            self._come_in()

    def _let_return(self) -> bool:
        """Checks are good: the next request is the target's probe, however long it was to stay out. True if that is new."""
        self.check_failing = False
        if self.state != OUT or self.due():
            return False
        self.until = self._clock()  # from now on it is due
        self._say(f"checks are good again, after: {self.reason}")
        return True

    # --- what other workers of this machine tell ---

    def availability(self) -> Availability | None:
        """Return what others are told of this state; None while the target is probed, or is out because of checks."""
        if self.state == PROBING or self.check_failing:
            return None
        left = max(0.0, self.until - self._clock())
        return Availability(
            *(self.state == OUT, self.reason, self.since, self.failing),
            *(self._now() + left if self.state == OUT else 0.0, self._ejections),
        )

    def check_state(self) -> CheckState | None:
        """Return what checks have told; None before the first."""
        if not self.checked:
            return None
        return CheckState(True, self.reason, self.since) if self.check_failing else CheckState(False)

    def drain_state(self) -> DrainState:
        """Return whether the target is drained."""
        return DrainState(self.drained_since)

    def follow_out(self, other: Availability) -> None:
        """Be out as elsewhere, for as long."""
        rules = self._rules
        longest = 0.0 if rules is None else rules.longest
        seconds = min(max(0.0, other.until - self._now()), longest)
        self._ejections = min(max(0, other.ejections), 30)
        self._go_out(other.reason, self._clock() + seconds)
        self.since = other.since

    def follow_in(self, other: Availability) -> bool:
        """Be in as elsewhere, where requests have shown that the target is well, or fails; True if the state has changed."""
        if self.check_failing or (self.state == IN and self.failing == other.failing):
            return False
        if self.state != IN:
            self._come_in()
        self._ejections = min(max(0, other.ejections), 30)
        self.failing = other.failing
        self.reason, self.since = other.reason, other.since
        self._faults = self._errors = self._overtaken = 0
        return True

    def follow_check(self, other: CheckState) -> bool:
        """Take note of what checks have told elsewhere; True if the state has changed."""
        self.checked = True
        if not other.failing:
            was_failing = self.check_failing
            return self._let_return() or was_failing
        if self.check_failing:
            return False
        self.check_failing = True
        self._go_out(other.reason, inf)
        self.since = other.since
        return True

    def follow_drain(self, other: DrainState) -> bool:
        """Be drained or restored as elsewhere; True if that is new."""
        changed = bool(self.drained_since) != bool(other.since)
        self.drained_since = other.since
        return changed

    # --- what the fleet and people decide ---

    def eject(self, *, alone: bool = False) -> None:
        """Go out for a while, for what ``wants_out`` says.

        ``alone`` says that no other target is well: then it is probed again soon, since there is nothing else to turn to.
        """
        rules = self._rules
        assert rules is not None
        if self._clock() - self._in_since > rules.longest and self.state == IN:
            self._ejections = 0
        seconds = rules.seconds if alone else min(rules.seconds * 2.0**self._ejections, rules.longest)
        self._ejections = min(self._ejections + 1, 30)
        reason, self.wants_out = self.wants_out, ""
        self._go_out(reason, self._clock() + seconds * (0.75 + 0.25 * self._random.random()))

    def keep(self) -> bool:
        """Stay in, although it fails: others could not do without it. True if that is new."""
        reason, self.wants_out = self.wants_out, ""
        new, self.failing = not self.failing, True
        self._successes = 0
        if new:
            self._say(f"kept in, since too many others are out: {reason}")
        return new

    def drain(self) -> None:
        """Get no new requests until ``restore``."""
        self.drained_since = self._now()

    def restore(self) -> None:
        """Get requests again."""
        self.drained_since = 0.0

    def due(self) -> bool:
        """Tell whether the time out is over; then the target is to be probed."""
        return self.state == OUT and not self.check_failing and self._clock() >= self.until

    def overdue(self) -> float:
        """Return for how many seconds the target has been due."""
        return self._clock() - self.until

    def probe(self) -> None:
        """Let requests through one at a time."""
        if self.state != PROBING:
            self.state = PROBING
            self._probed = 0
            self._faults = self._errors = self._overtaken = 0
            self._say(f"probing after: {self.reason}")

    def share(self) -> float:
        """Return which share of its own requests the target gets, from 0 to 1: it grows after its return."""
        rules = self._rules
        if not self.growing or rules is None:
            return 1.0
        share = (self._clock() - self._in_since) / rules.slow_start if rules.slow_start else 1.0
        if share >= 1.0:
            self.growing = False
            return 1.0
        return max(share, _LEAST_SHARE)

    def _come_in(self) -> None:
        self.state = IN
        self._in_since = self._clock()
        self.growing = True
        self.failing = False
        self._forget_window()
        self._say("")

    def _go_out(self, reason: str, until: float) -> None:
        self.state = OUT
        self.until = until
        self.failing = False
        self.wants_out = ""
        self._faults = self._errors = self._overtaken = 0
        self._checks_passed = 0
        self._forget_window()
        self._say(reason)

    def _say(self, reason: str) -> None:
        self.reason = reason
        self.since = self._now()

    def says(self) -> str:
        """Return state and reason in words."""
        drained = "drained, " if self.drained_since else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{drained}{STATES[self.state]}{reason}"

    def __repr__(self) -> str:
        """Show state and reason."""
        return f"<TargetHealth {self.says()}>"


def _in_a_row(count: int, of: str, last: str) -> str:
    return f"{count} {of} in a row, the last: {last}" if count > 1 else last
