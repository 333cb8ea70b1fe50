"""The declaration of retries and hedging: which attempts are repeated at another target, and how many at most. Frozen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from limen.upstream.numbers import check_number, check_statuses

# RFC 9110 section 9.2.2.
IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"))

KiB: Final = 1024

# Attempts of one request that may be declared, and bytes of one body that may be kept for them.
MOST_ATTEMPTS: Final = 10
MOST_BODY: Final = 1024 * KiB

# Attempts of one request where there is but one target: the second one is for what was certainly not done.
MOST_AT_ONE_TARGET: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Which failed attempts are made again, at another target. It is on from two targets on.

    What was never sent is tried at each other target. All else is repeated for idempotent methods alone (RFC 9110 section
    9.2.2), and for requests with an ``Idempotency-Key`` on routes that say that their service honours it: when the
    connection is lost, when there is no answer in time, and when the answer has one of ``statuses``. An answer of which
    something has reached the client is never retried.

    ``attempts`` bounds all attempts of a request, the first included; only what was never sent goes on to each other target,
    with 10 attempts at most, and may go to one that is out. A target is asked once: only after a connection that the service
    had closed meanwhile, and while no other is well, it is asked again. Between attempts there is a random pause of up to
    ``backoff`` seconds, doubled each time. Retries that run at once, or are about to, are at most ``budget`` of all
    attempts that wait for an answer, but at least ``least``. A body is kept for a retry up to
    ``body`` bytes. ``timeout`` bounds, in seconds, the wait for the answer of one attempt that may be retried; None leaves
    that to ``Timeouts``.

    Raises ValueError or TypeError that names the setting.
    """

    attempts: int = 3
    statuses: Sequence[int] = (502, 503, 504)
    backoff: float = 0.025
    budget: float = 0.2
    least: int = 3
    body: int = 64 * KiB
    timeout: float | None = None

    def __post_init__(self) -> None:
        """Refuse what would multiply an outage."""
        check_number(f"Retry(attempts={self.attempts!r})", self.attempts, least=1, most=MOST_ATTEMPTS, whole=True)
        check_number(f"Retry(backoff={self.backoff!r})", self.backoff, most=10)
        check_number(f"Retry(budget={self.budget!r})", self.budget, most=1)
        check_number(f"Retry(least={self.least!r})", self.least, whole=True)
        check_number(f"Retry(body={self.body!r})", self.body, most=MOST_BODY, whole=True)
        if self.timeout is not None:
            check_number(f"Retry(timeout={self.timeout!r})", self.timeout, more_than=True)
        check_statuses("Retry", self.statuses, least=500)
        object.__setattr__(self, "statuses", tuple(self.statuses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """When a second attempt begins at another target while the first goes on. It is on from two targets on.

    The bound is learned from latency, for each route at each target: after ``samples`` answers it is ``factor`` times the
    99th percentile of the last minute, and never less than ``floor`` seconds. Before that it is ``initial``. With a bound of
    more than ``ceiling`` seconds nothing is hedged: such a route is slow by nature. The first answer wins; the loser is
    cancelled, and is no failure of the request. Only what may be retried is hedged, within the budget of ``Retry``, and a
    body is waited for first.

    Raises ValueError or TypeError that names the setting.
    """

    factor: float = 3.0
    samples: int = 50
    floor: float = 0.025
    ceiling: float = 10.0
    initial: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what would hedge everything."""
        check_number(f"Hedge(factor={self.factor!r})", self.factor, least=1)
        check_number(f"Hedge(samples={self.samples!r})", self.samples, least=1, most=100_000, whole=True)
        for name in ("floor", "ceiling", "initial"):
            value = getattr(self, name)
            check_number(f"Hedge({name}={value!r})", value, more_than=True)
        if self.ceiling < self.floor:
            raise ValueError(
                f"Hedge(floor={self.floor!r}, ceiling={self.ceiling!r}): ceiling must not be less than floor"
            )
