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


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What ``compile`` knows of a route on which a policy stands.

    ``route`` is its name, method and path; ``params`` are the path parameters; ``public`` says that anyone may call.
    ``withheld`` names request headers that no client may send to a service: identity, and credentials that the gateway
    consumes. ``read_headers`` are those that the signature declares, ``reads_body`` says that it declares a body, and
    ``reads_answer`` that answers are held and checked. ``consumed`` names answer headers that the client never gets.
    """

    route: str
    params: frozenset[str] = frozenset()
    public: bool = True
    withheld: frozenset[bytes] = frozenset()
    read_headers: frozenset[bytes] = frozenset()
    reads_body: bool = False
    reads_answer: bool = False
    consumed: frozenset[bytes] = frozenset()


class Policy(Protocol):
    """A declaration: a frozen dataclass that checks itself, and compares equal to one that says the same.

    ``rank`` is its place among the policies of a phase, the lowest first; each class has its own. ``adds`` tells whether one
    that is declared nearer to a route stands beside those of its kind with another ``name`` (True), or takes their place.

    If it has ``check(facts)``, ``compile`` calls that for each route on which it stands, with ``RouteFacts``; it returns what
    is wrong there, one line each, beginning with its kind.
    """

    rank: ClassVar[int]
    adds: ClassVar[bool]

    @property
    def name(self) -> str:
        """What tells it from others of its kind; the state of the live one is kept by it."""
        ...

    def live(self, world: World) -> object:
        """Return what lives: an object with any subset of the hooks of ``limen.exchange.hooks``; None is no hook.

        Raises ValueError that says what to mend. Nothing may begin yet: a compile that fails drops what was made for it.

        The live object is kept by kind, place of declaration and name. An equal declaration keeps it as it is. If it has
        ``reconcile(declared)``, that is called when a recompile finds it declared anew, and it lives on; without, a changed
        declaration gets a new one. If it has ``close()``, that is called when it is declared no more. Neither may raise or
        wait. Exchanges that began before finish with it, so its hooks have to work after ``close()``, too.
        """
        ...
