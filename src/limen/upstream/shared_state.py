"""What the workers of one machine tell each other about a target: plain values, one kind for each thing that changes alone.

They are apart because each is said by somebody else: that one worker ejects a target must not undo that another drained it.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Availability:
    """What requests have told: ``out`` or in, why, and since when; ``failing`` fails, and is in as too many others are out.

    Times are seconds since the epoch; ``until`` is when a target that is out is probed. ``ejections`` is how often in a row
    it went out, by which the next time out is longer.
    """

    out: bool
    reason: str
    since: float
    failing: bool = False
    until: float = field(default=0.0, compare=False)
    ejections: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class CheckState:
    """What active checks have told; the target was checked at least once. ``reason`` and ``since`` are those of failing."""

    failing: bool
    reason: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class DrainState:
    """Whether the target is drained: ``since`` then (seconds since the epoch); 0 is not drained."""

    since: float


Shared = Availability | CheckState | DrainState
