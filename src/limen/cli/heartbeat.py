"""Detection of workers that hang: each worker sends beats, and the supervisor counts those that are missing.

A running process need not serve: its event loop may be blocked for good, or the process stopped (SIGSTOP, a debugger).
Each worker therefore sends a byte every ``BEAT_INTERVAL`` seconds, from its event loop, over its control socket. A worker
without a beat between ``MISSED_BEATS`` checks of the supervisor is killed and replaced. It must not:

- *Kill a worker that is merely busy.* Any turn of the loop sends a beat. A deep garbage collection or a large validation
  blocks the loop for a second or two, and other processes that use the CPU for not much longer. In ten seconds without a
  single turn, none of its clients was served.
- *Kill all workers after a sleep of the machine, or when the supervisor was starved.* Silence is counted in the supervisor's
  own checks, not in time: however long the supervisor itself did not run, that was one check.
- *Kill all workers for the same reason.* If all are silent, the reason is likely to be outside (a machine that swaps, a
  name server that all wait for), and killing them would only add their starts to the load. So one is killed, and the next
  once as many workers serve again as should: a new worker that serves shows that a start helps.
- *Keep a worker that hangs because no other starts.* It serves nobody, but the listener gives it clients as before. So the
  next one is killed after ``REPLACEMENT_BEATS`` checks in any case, even if the one before has not been replaced.

The decision is here and does no I/O; ``limen.cli.supervisor`` reads the sockets and kills, ``limen.cli.worker`` sends beats.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

# Seconds between two beats of a worker, and between two checks of its supervisor.
BEAT_INTERVAL = 1.0

# Checks in a row without a beat after which a worker hangs, and that time in seconds.
MISSED_BEATS = 10
SILENCE = MISSED_BEATS * BEAT_INTERVAL

# Checks after a kill during which the replacement is waited for before another worker is killed, and that time in seconds.
REPLACEMENT_BEATS = 30
BETWEEN_KILLS = REPLACEMENT_BEATS * BEAT_INTERVAL


class MonitoredWorker(Protocol):
    """A worker that should serve; ``missed_beats`` is the number of checks since its last beat."""

    missed_beats: int


W = TypeVar("W", bound=MonitoredWorker)


class HangDetector:
    """Decides for one supervisor which worker is killed."""

    __slots__ = ("_checks_since_kill",)

    def __init__(self) -> None:
        """None was killed so far."""
        self._checks_since_kill = REPLACEMENT_BEATS

    def check(self, serving: Sequence[W], count: int) -> W | None:
        """Count one missed beat of each of ``serving``; return the one to be killed, if any. ``count`` should serve."""
        self._checks_since_kill += 1
        for worker in serving:
            worker.missed_beats += 1
        hung = max(serving, key=lambda worker: worker.missed_beats, default=None)
        if hung is None or hung.missed_beats < MISSED_BEATS:
            return None
        if len(serving) < count and self._checks_since_kill < REPLACEMENT_BEATS:
            return None
        self._checks_since_kill = 0
        return hung

    def __repr__(self) -> str:
        """Show how long ago a worker was killed."""
        return f"<HangDetector {self._checks_since_kill} checks since a kill>"
