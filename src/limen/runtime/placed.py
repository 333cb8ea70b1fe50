"""Policies as they are declared: in which place, whether they can stand together there, and which of several places wins.

The nearest wins by kind. No policy is named here: what one is says ``limen.exchange.policy``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

from limen.exchange.policy import Policy

GATEWAY = "Gateway"
"""The place of the gateway's own policies, as messages name it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Policies that were declared together: in which place, as messages name it, and in which order."""

    place: str
    policies: tuple[Policy, ...] = ()


def placed(place: str, given: object) -> tuple[Placed, list[str]]:
    """Return what of ``given``, the value of a ``policies=``, can stand in ``place``, and what is wrong with the rest."""
    if not isinstance(given, list | tuple):
        return Placed(place), [f"{place}: policies={_shown(given)} is no list; write policies=[...]"]
    several: list[object] = list(given)  # pyright: ignore[reportUnknownArgumentType] - each is looked at
    good: list[Policy] = []
    wrong: list[str] = []
    for one in several:
        if not _is_policy(one):
            wrong.append(
                f"{place}: policies=[{_shown(one)}] is no policy; use those of limen.policies, such as Headers(...), "
                "or an object with rank, adds, name and live"
            )
        elif clash := next((other for other in good if _clash(one, other)), None):
            wrong.append(_twice(place, one, clash))
        else:
            good.append(one)
    return Placed(place, tuple(good)), wrong


def standing(layers: Iterable[Placed]) -> list[tuple[str, Policy]]:
    """Return the policies of a route by rank, each with its place. ``layers`` go from the gateway to the route itself.

    The nearest wins by kind: one that does not add takes the place of all of its kind, one that adds only that of its
    kind and name. Those of one rank keep the order of the layers, and in a layer that of the declaration.
    """
    found: list[tuple[str, Policy]] = []
    for layer in layers:
        found = [one for one in found if not any(_clash(nearer, one[1]) for nearer in layer.policies)]
        found += [(layer.place, policy) for policy in layer.policies]
    return sorted(found, key=_rank)


def _is_policy(one: object) -> TypeGuard[Policy]:
    """Tell whether ``one`` has what ``Policy`` says; a class, forgotten to be called, has not."""
    some = cast("Any", one)
    return (
        not isinstance(one, type)
        and isinstance(getattr(some, "rank", None), int)
        and isinstance(getattr(some, "adds", None), bool)
        and isinstance(getattr(some, "name", None), str)
        and callable(getattr(some, "live", None))
    )


def _clash(one: Policy, other: Policy) -> bool:
    """Tell whether only one of the two can stand on a route."""
    return type(one) is type(other) and (not one.adds or one.name == other.name)


def _twice(place: str, one: Policy, other: Policy) -> str:
    kind = kind_of(one)
    if not one.adds:
        return f"{place}: policies= has two of {kind}, of which one can stand in a place; leave one out"
    return f"{place}: policies= has two {kind} named {other.name!r}; leave one out, or give one another name="


def kind_of(policy: Policy) -> str:
    """Name the kind of ``policy``, as messages do."""
    return type(policy).__name__


def _rank(one: tuple[str, Policy]) -> int:
    return one[1].rank


def _shown(one: object) -> str:
    """Name what was given; never its content, which may be a secret."""
    return one.__name__ if isinstance(one, type) else f"{type(one).__name__}(...)"
