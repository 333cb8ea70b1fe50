"""Policies as declared: the place of each, which of them exclude one another, and which apply to a route.

The nearest wins by kind. No policy is named here: ``limen.exchange.policy`` says what a policy is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

from limen.exchange.policy import Policy

GATEWAY = "Gateway"
"""The place of the gateway's own policies, as messages name it."""


@dataclass(frozen=True, slots=True)
class DeclaredPolicies:
    """The policies of one ``policies=``, in their order. ``place`` names the gateway, group or route, as messages do."""

    place: str
    policies: tuple[Policy, ...] = ()


def declared_policies(place: str, given: object) -> tuple[DeclaredPolicies, list[str]]:
    """Return the valid policies of ``given``, the value of a ``policies=``, and a message for each of the others."""
    if not isinstance(given, list | tuple):
        return DeclaredPolicies(place), [f"{place}: policies={_type_name(given)} is no list; write policies=[...]"]
    candidates: list[object] = list(given)  # pyright: ignore[reportUnknownArgumentType] - each is looked at
    policies: list[Policy] = []
    problems: list[str] = []
    for candidate in candidates:
        if not _is_policy(candidate):
            problems.append(
                f"{place}: policies=[{_type_name(candidate)}] is no policy; use those of limen.policies, such as "
                "Headers(...), or an object with rank, adds, name and live"
            )
        elif excluded := next((policy for policy in policies if _exclude(candidate, policy)), None):
            problems.append(_duplicate(place, candidate, excluded))
        else:
            policies.append(candidate)
    return DeclaredPolicies(place, tuple(policies)), problems


def effective_policies(layers: Iterable[DeclaredPolicies]) -> list[tuple[str, Policy]]:
    """Return the policies that apply to a route, each with its place, by rank. ``layers`` go from the gateway to the route.

    The nearest wins by kind: a policy that does not add replaces all of its kind, one that adds replaces those of its kind
    and name. Policies of one rank keep the order of the layers and, within a layer, of the declaration.
    """
    effective: list[tuple[str, Policy]] = []
    for layer in layers:
        effective = [
            (place, policy)
            for place, policy in effective
            if not any(_exclude(nearer, policy) for nearer in layer.policies)
        ]
        effective += [(layer.place, policy) for policy in layer.policies]
    return sorted(effective, key=lambda placed: placed[1].rank)


def policy_kind(policy: Policy) -> str:
    """Name the kind of ``policy``, as messages do."""
    return type(policy).__name__


def _is_policy(candidate: object) -> TypeGuard[Policy]:
    """Tell whether ``candidate`` has what ``Policy`` says. A class has not: somebody forgot to call it."""
    attributes = cast("Any", candidate)
    return (
        not isinstance(candidate, type)
        and isinstance(getattr(attributes, "rank", None), int)
        and isinstance(getattr(attributes, "adds", None), bool)
        and isinstance(getattr(attributes, "name", None), str)
        and callable(getattr(attributes, "live", None))
    )


def _exclude(one: Policy, other: Policy) -> bool:
    """Tell whether at most one of the two applies to a route."""
    return type(one) is type(other) and (not one.adds or one.name == other.name)


def _duplicate(place: str, policy: Policy, excluded: Policy) -> str:
    kind = policy_kind(policy)
    if not policy.adds:
        return f"{place}: policies= has two of {kind}, of which one can stand in a place; leave one out"
    return f"{place}: policies= has two {kind} named {excluded.name!r}; leave one out, or give one another name="


def _type_name(value: object) -> str:
    """Name what was given; never its content, which may be a secret."""
    return value.__name__ if isinstance(value, type) else f"{type(value).__name__}(...)"
