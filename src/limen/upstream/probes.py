"""Which request finds out whether a target is well again, or whether an upstream is: one at a time, and none for long."""

from collections.abc import Callable
from typing import Final, final

from limen.upstream.ejection import Ejection
from limen.upstream.live_target import LiveTarget
from limen.upstream.target_health import PROBING, TargetHealth

# Seconds for which a request that is to find out whether a target is well keeps others from it. A body may come slowly, and
# an answer may be long in coming: others find out meanwhile.
LONGEST_PROBE: Final = 2.0


@final
class Probes:
    """Chooses the requests that find out: those that can be repeated, or any where none of these has come for long."""

    __slots__ = ("_clock", "_let_in_at", "_longest")

    def __init__(self, ejection: Ejection | None, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds that never go back."""
        self._clock = clock
        self._longest: float = 0.0 if ejection is None else ejection.longest
        self._let_in_at: float = 0.0  # when a request came last to find out whether the upstream is well

    def due(self, out: list[LiveTarget], *, repeatable: bool) -> LiveTarget | None:
        """Return the one of the targets that are ``out`` that is to be probed by this request, one request at a time."""
        for target in out:
            health = target.health
            if health.due():
                health.probe()
            if health.state != PROBING or self._is_probed(health):
                continue
            if repeatable or health.overdue() >= self._longest:
                health.probe_under_way = health.probe_chosen = True
                health.probe_began = self._clock()
                return target
        return None

    def _is_probed(self, health: TargetHealth) -> bool:
        """Tell whether a probe is under way that may still tell something soon: a client may send it for ever."""
        return health.probe_under_way and self._clock() - health.probe_began < LONGEST_PROBE

    def let_in(self, out: list[LiveTarget], *, waiting: bool, repeatable: bool) -> bool:
        """Tell whether this request finds out whether the upstream is well; ``waiting`` says that another may still do."""
        now = self._clock()
        if waiting and now - self._let_in_at < LONGEST_PROBE:
            return False
        if not repeatable and out and min(target.health.overdue() for target in out) < self._longest:
            return False
        self._let_in_at = now
        return True

    def __repr__(self) -> str:
        """Show when a request was let in last."""
        return f"<Probes, let in at {self._let_in_at}>"
