"""What a run says: counts and times, from what clients sent and what reached the targets. No I/O."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from bench.resilience.load import WRONG, Sent
from bench.resilience.service import Received

_WINDOW = 3.0  # seconds over which the share of a target is taken: some 70 requests of it
_STEP = 0.5
_TOLERANCE = 0.2  # of its fair share
_WASTED_ON = ("unavailable", "resetting")


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario on one gateway. Times are of ``time.monotonic``; ``healed`` is None if the targets stayed bad.

    ``refused`` is the number of connections that were refused for the clients' requests, where that was counted.
    """

    sent: Sequence[Sent]
    received: Sequence[Received]
    targets: Sequence[str]
    bad: Sequence[str]
    began: float
    healed: float | None
    refused: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one run; a figure that does not apply is None.

    - reads: GETs, those whose client did not get its answer, and those that waited for longer than this (failed ones too).
    - writes: POSTs, those that failed, those of these that began when the gateway has had time to eject the target, and those
      that reached the targets more than once.
    - ``wasted``: attempts at a target while it answered 503 or reset connections.
    - ``attempts``: attempts per request, from when the targets became bad.
    - ``balance``: seconds from when the target was well again until it had its share of requests; ``inf`` if it never had.
    """

    reads: int
    reads_failed: int
    over_100ms: int
    over_250ms: int
    over_1s: int
    slowest_ms: float
    writes: int
    writes_failed: int
    writes_failed_late: int
    writes_repeated: int
    wrong: int
    wasted: int
    attempts: float | None
    balance: float | None
    failures: dict[str, int]


def figures(run: Run, grace: float) -> Figures:
    """Compute the figures; ``grace`` is the seconds within which a gateway may find out that a target is bad."""
    reads = [sent for sent in run.sent if sent.method == "GET"]
    writes = [sent for sent in run.sent if sent.method == "POST"]
    healed = inf if run.healed is None else run.healed
    return Figures(
        reads=len(reads),
        reads_failed=_count(sent.failed for sent in reads),
        over_100ms=_count(sent.seconds > 0.1 for sent in reads),
        over_250ms=_count(sent.seconds > 0.25 for sent in reads),
        over_1s=_count(sent.seconds > 1.0 for sent in reads),
        slowest_ms=max((sent.seconds for sent in reads), default=0.0) * 1000,
        writes=len(writes),
        writes_failed=_count(sent.failed for sent in writes),
        writes_failed_late=_count(sent.failed and run.began + grace <= sent.due < healed for sent in writes),
        writes_repeated=repeated(run.received, "POST"),
        wrong=_count(sent.result == WRONG for sent in run.sent),
        wasted=_count(
            entry.target in run.bad and entry.condition in _WASTED_ON and run.began <= entry.at <= healed
            for entry in run.received
        ),
        attempts=_attempts(run),
        balance=None if run.healed is None else balance(run, run.healed),
        failures=dict(Counter(sent.result for sent in run.sent if sent.failed)),
    )


def repeated(received: Iterable[Received], method: str) -> int:
    """Return how many requests with ``method`` have reached the targets more than once."""
    return _count(times > 1 for times in Counter(one.number for one in received if one.method == method).values())


def balance(run: Run, healed: float) -> float:
    """Return the seconds from ``healed`` until the bad target has its share, within 20 %, of what reaches all targets.

    It has its share from a time on if it has it in the seconds that follow, and in all that follows.
    """
    end = max((sent.due for sent in run.sent), default=0.0)
    steps = 0
    while (start := healed + steps * _STEP) + _WINDOW <= end:
        if _has_share(run, start, start + _WINDOW) and _has_share(run, start, inf):
            return start - healed
        steps += 1
    return inf


def _has_share(run: Run, start: float, end: float) -> bool:
    """Tell whether the bad target has its share of what is received between these times."""
    targets = [entry.target for entry in run.received if start <= entry.at < end]
    fair = len(targets) * len(run.bad) / len(run.targets)
    return bool(fair) and abs(_count(target in run.bad for target in targets) / fair - 1) <= _TOLERANCE


def _attempts(run: Run) -> float | None:
    """Return attempts per request while all targets are bad; None if one is well."""
    numbers = {sent.number for sent in run.sent if sent.due >= run.began}
    if len(run.bad) < len(run.targets) or not numbers:
        return None
    if run.refused is not None:
        return run.refused / len(numbers)
    return _count(entry.number in numbers for entry in run.received) / len(numbers)


def _count(found: Iterable[bool]) -> int:
    return sum(found)
