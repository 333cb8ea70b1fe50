"""How a supervisor notices that a worker hangs: the worker's beats, and what the supervisor makes of their absence.

A process that lives need not serve: its event loop may be blocked for good, or the process stopped (SIGSTOP, a debugger).
Each worker therefore sends a byte every ``BEAT`` seconds, from its event loop, over its control socket. A worker that has
not been heard between ``MISSED`` looks of the supervisor is killed and replaced. What that must not do:

- *Kill a worker that merely works.* Any turn of the loop lets a beat through. A deep garbage collection or a large
  validation stops the loop for a second or two, and other processes that are hungry for CPU for not much longer; ten
  seconds without a single turn are ten seconds in which none of its clients was served.
- *Kill everybody after a sleep of the machine, or when the supervisor was starved.* Silence is counted in the supervisor's
  own looks, not in time: however long the supervisor itself did not run, that was one look.
- *Kill all workers for the same reason.* If all are silent, the reason is likely to be outside (a machine that swaps, a
  name server that everybody waits for), and to kill them would only add their starts to it. So one is killed, and the next
  once there are as many serving workers again as there should be: that a new worker serves shows that a start helps.
- *Keep a worker that hangs because no other starts.* It serves nobody, but the listener gives it clients as before. So the
  next one is killed after ``REPLACED`` looks in any case, whatever has become of the place of the one before.

What decides is here and does no I/O; ``limen.cli.workers`` reads the sockets and kills, ``limen.cli.worker`` beats.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

# Seconds between two beats of a worker, and between two looks of its supervisor.
BEAT = 1.0

# Looks in a row at which a worker had not been heard: then it hangs.
MISSED = 10

# Seconds of silence that this makes.
SILENCE = MISSED * BEAT

# Looks within which another is waited for, once one was killed; then the next that hangs is killed without.
REPLACED = 30

# Seconds that this makes.
BETWEEN_KILLS = REPLACED * BEAT


class Watched(Protocol):
    """A worker that should serve; ``silent`` is the number of looks since it was heard."""

    silent: int


W = TypeVar("W", bound=Watched)


class Looks:
    """The looks of one supervisor."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        """None was killed so far."""
        self._since = REPLACED  # looks since one was killed

    def look(self, serving: Sequence[W], count: int) -> W | None:
        """Count one look at each of ``serving``; return the one to be killed, if any. ``count`` are to serve."""
        self._since += 1
        for worker in serving:
            worker.silent += 1
        hung = max(serving, key=lambda worker: worker.silent, default=None)
        if hung is None or hung.silent < MISSED or (len(serving) < count and self._since < REPLACED):
            return None
        self._since = 0
        return hung

    def __repr__(self) -> str:
        """Show how long ago one was killed."""
        return f"<Looks {self._since} since one was killed>"
