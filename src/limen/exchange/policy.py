"""What a policy is: how it is declared, what it is given from outside when it comes to life, and where it may stand."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class World:
    """What a live policy gets from outside: ``now`` gives seconds since the epoch, ``monotonic`` seconds of a clock that only
    goes forward, ``random`` all that is drawn.
    """

    now: Callable[[], float]
    monotonic: Callable[[], float]
    random: Random


class Policy(Protocol):
    """A declaration: a frozen dataclass that checks itself, and compares equal to one that says the same.

    ``rank`` is its place among the policies of a phase, the lowest first; each class has its own. ``adds`` tells whether one
    that is declared nearer to a route stands beside those of its kind with another ``name`` (True), or takes their place.
    """

    rank: ClassVar[int]
    adds: ClassVar[bool]

    @property
    def name(self) -> str:
        """What tells it from others of its kind; the state of the live one is kept by it."""
        ...

    def live(self, world: World) -> object:
        """Return what lives: an object with any subset of the hooks of ``limen.exchange.hooks``.

        If it has ``reconcile(declared)``, that is called when a recompile finds it declared anew, and it lives on; without, a
        changed declaration gets a new one. If it has ``close()``, that is called when it is declared no more.
        """
        ...
