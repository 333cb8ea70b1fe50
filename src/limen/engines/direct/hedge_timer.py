"""When the answer to an attempt is late, so that a second one may begin elsewhere.

A client connection keeps one ``HedgeTimer`` for all its requests: a request makes no object, and no timer, of its own.
"""

from typing import TYPE_CHECKING, final

from limen.engines.direct.timers import Timer, Timers
from limen.pipeline.target_attempt import TargetAttempt

if TYPE_CHECKING:
    from limen.engines.direct.upstream_side import UpstreamSide


@final
class HedgeTimer:
    """Watches one attempt at a time, or none."""

    __slots__ = ("_side", "_timer", "_trial")

    def __init__(self, timers: Timers) -> None:
        """Nothing is watched yet."""
        self._timer = Timer(timers)
        self._side: UpstreamSide | None = None
        self._trial: TargetAttempt | None = None

    def watch(self, side: "UpstreamSide", trial: TargetAttempt, seconds: float, begun: float) -> None:
        """Tell ``side`` when ``trial`` has not been answered for so many ``seconds``.

        ``begun`` is the loop's time if the caller knows that it is the present one; negative has the loop asked.
        """
        self._side = side
        self._trial = trial
        if begun < 0.0:
            self._timer.set(self, seconds)
        else:
            self._timer.set_as_of(begun, self, seconds)

    def expired(self) -> None:
        """The attempt is late."""
        side, trial = self._side, self._trial
        self.clear()
        if side is not None and trial is not None:
            side.overdue(trial)

    def clear(self) -> None:
        """Watch nothing more."""
        self._timer.clear()
        self._side = None
        self._trial = None

    def drop(self) -> None:
        """Watch nothing more: the connection has ended."""
        self.clear()
        self._timer.drop()

    def __repr__(self) -> str:
        """Show what is watched."""
        return f"<HedgeTimer {self._trial!r}>"
