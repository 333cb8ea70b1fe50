"""What a policy is: how it is declared, what it may ask about its route, and what its live object gets from outside."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class Environment:
    """What a live policy gets from outside: time and randomness.

    ``now`` gives seconds since the epoch, ``monotonic`` seconds of a clock that only goes forward. All that is drawn is drawn
    from ``random``.
    """

    now: Callable[[], float]
    monotonic: Callable[[], float]
    random: Random


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What ``compile`` knows of a route on which a policy stands.

    ``route`` is its method and path, as messages name it. ``public`` says that anyone may call. ``withheld_headers`` are
    request headers that no client may send to a service: identity, and credentials that the gateway consumes.
    ``declared_headers`` are those of the signature, and ``declares_body`` says that it has a body. ``checks_answers`` says
    that answers are held and checked. ``consumed_headers`` are answer headers that the client never gets.
    """

    route: str
    path_params: frozenset[str] = frozenset()
    public: bool = True
    withheld_headers: frozenset[bytes] = frozenset()
    declared_headers: frozenset[bytes] = frozenset()
    declares_body: bool = False
    checks_answers: bool = False
    consumed_headers: frozenset[bytes] = frozenset()


class Policy(Protocol):
    """A declaration: a frozen dataclass that checks itself, and compares equal to one that says the same.

    ``rank`` orders the policies of a phase, the lowest first; each class has its own. ``adds`` says what a policy does to
    those of its kind that are declared further from the route: True replaces those of the same ``name``, False all of them.

    A policy may have ``check(facts)``. ``compile`` calls it with the ``RouteFacts`` of each route on which the policy stands.
    It returns what is wrong there, one line each, beginning with the kind of the policy.
    """

    rank: ClassVar[int]
    adds: ClassVar[bool]

    @property
    def name(self) -> str:
        """What tells it from others of its kind. Live state is kept by this name."""
        ...

    def live(self, environment: Environment) -> object:
        """Return the live object, with any subset of the hooks of ``limen.exchange.hooks``; a hook that is None is absent.

        Raises ValueError that says what to mend. Nothing may begin here: a compile that fails drops the objects made for it.

        The live object is kept by kind, place of declaration and name. An equal declaration keeps it as it is. A changed one
        is given to its ``reconcile(declared)``, if it has that, and replaces it otherwise. If it has ``close()``, that is
        called once the policy is declared no more. Neither may raise or wait. Exchanges that began before finish with it, so
        its hooks have to work after ``close()``, too.
        """
        ...
