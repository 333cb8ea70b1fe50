"""The policies of one compile, from their declarations to the hooks of each route. A request sees nothing but the hooks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from limen.exchange.hooks import NONE, Hooks
from limen.exchange.policy import Policy, RouteFacts
from limen.runtime.placed import GATEWAY, Placed, kind_of, standing
from limen.runtime.reconcile import Reconciliation


class Standing:
    """The policies of one compile, made live by ``change``. ``problems`` are in order, each once."""

    def __init__(self, change: Reconciliation, gateway: Placed) -> None:
        """Begin with the policies of the ``gateway`` itself."""
        self._change = change
        self._gateway = gateway
        self._problems: dict[str, None] = {}

    @property
    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        return list(self._problems)

    def on_gateway(self) -> Hooks:
        """Return the hooks of the gateway's own policies."""
        return _hooks([live for _, live in self._lives([self._gateway])])

    def on_route(self, facts: RouteFacts, layers: Sequence[Placed]) -> Hooks:
        """Return the hooks of a route, without ``enter``, which is past before the route is known."""
        lives = self._lives([self._gateway, *layers], facts)
        for (place, policy), live in lives:
            if place != GATEWAY and getattr(live, "enter", None) is not None:
                self._problems[
                    f"{place}: {kind_of(policy)} has its say before the route is known, so it can only stand on the gateway: "
                    "Gateway(policies=[...])"
                ] = None
        hooks = _hooks([live for _, live in lives])
        return replace(hooks, enter=()) if hooks.enter else hooks

    def _lives(
        self, layers: Sequence[Placed], facts: RouteFacts | None = None
    ) -> list[tuple[tuple[str, Policy], object]]:
        found: list[tuple[tuple[str, Policy], object]] = []
        for place, policy in standing(layers):
            if facts is not None:
                for line in _checked(policy, facts):
                    self._problems[f"{place}: {line}"] = None
            try:
                found.append(((place, policy), self._change.policy(place, policy)))
            except (ValueError, TypeError) as error:
                self._problems[f"{place}: {error}"] = None
        return found


def _hooks(lives: list[object]) -> Hooks:
    return Hooks.of(lives) if lives else NONE


def _checked(policy: Policy, facts: RouteFacts) -> Iterator[str]:
    check = getattr(policy, "check", None)
    if check is not None:
        yield from check(facts)
