"""Which target goes bad when, drawn at random: the plan of ``bench.resilience.chaos``. No I/O.

Time is counted in requests, so that a slow machine stretches the plan and does not change it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import get_args

from bench.resilience.fleet import NAMES, Fault

FAULTS: tuple[Fault, ...] = get_args(Fault)

_FIRST = 1.5  # seconds until the first fault: the gateway learns how long answers take
_LASTS = (1.0, 3.0)
_PAUSE = (0.3, 1.0)  # seconds between the end of a fault and the next one
_OVERLAPPING = 0.25  # the share of faults that begin before the one before them ends
_STEP = 0.25


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """``target`` has ``fault`` from the request ``begin`` until the request ``end``."""

    target: str
    fault: Fault
    begin: int
    end: int


def plan_faults(rng: Random, requests: int, rate: float, settled: float) -> list[PlannedFault]:
    """Return faults for a load of ``requests``, ``rate`` of them per second, in the order in which they begin.

    At any time one target is well, and has been well for ``settled`` seconds at least: no gateway can choose a target when
    it cannot know yet that it is well again. All kinds occur, each once before any occurs again. Each target is drawn as
    often as the others; until the one that was drawn may fail, the one before it fails again, so that the others settle.
    """
    faults: list[PlannedFault] = []
    kinds: list[Fault] = []
    begin = round(_FIRST * rate)
    drawn = before = rng.choice(NAMES)
    while (end := begin + round(rng.uniform(*_LASTS) * rate)) < requests:
        target = next((name for name in (drawn, before) if _may_fail(faults, name, begin, settled * rate, rate)), None)
        if target is None:
            begin += round(_STEP * rate)
            continue
        kinds = kinds or rng.sample(FAULTS, len(FAULTS))
        faults.append(PlannedFault(target, kinds.pop(), begin, end))
        if target == drawn:
            drawn, before = rng.choice(NAMES), target
        if rng.random() < _OVERLAPPING:
            begin += (end - begin) // 2
        else:
            begin = max(fault.end for fault in faults) + round(rng.uniform(*_PAUSE) * rate)
    return faults


def _may_fail(faults: Sequence[PlannedFault], target: str, at: int, settled: float, rate: float) -> bool:
    """Tell whether ``target`` is well, and another one has been well for ``settled`` requests."""
    others = (name for name in NAMES if name != target)
    return _well(faults, target, at, _PAUSE[0] * rate) and any(_well(faults, name, at, settled) for name in others)


def _well(faults: Sequence[PlannedFault], target: str, at: int, requests: float) -> bool:
    """Tell whether ``target`` has been well for so many requests before ``at``."""
    return all(fault.end + requests <= at for fault in faults if fault.target == target)
