"""Compiles policies: from the declarations to the hooks of each route. A request sees nothing but the hooks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from limen.exchange.hooks import NO_HOOKS, Hooks
from limen.exchange.policy import Policy, RouteFacts
from limen.runtime.declared_policies import GATEWAY, DeclaredPolicies, effective_policies, policy_kind
from limen.runtime.reconcile import Reconciliation


class PolicyCompiler:
    """Compiles the policies of all routes in one compile, made live by ``change``."""

    def __init__(self, change: Reconciliation, gateway: DeclaredPolicies) -> None:
        """Begin with the policies of the ``gateway`` itself."""
        self._change = change
        self._gateway = gateway
        self._problems: dict[str, None] = {}

    @property
    def problems(self) -> list[str]:
        """What is wrong: one line each, in the order found, each once."""
        return list(self._problems)

    def gateway_hooks(self) -> Hooks:
        """Return the hooks of the gateway's own policies."""
        return _hooks([live for _, _, live in self._live_policies([self._gateway])])

    def route_hooks(self, facts: RouteFacts, layers: Sequence[DeclaredPolicies]) -> Hooks:
        """Return the hooks of a route, without ``enter``: that phase is over before the route is known."""
        live_policies = self._live_policies([self._gateway, *layers], facts)
        for place, policy, live in live_policies:
            if place != GATEWAY and getattr(live, "enter", None) is not None:
                self._problems[
                    f"{place}: {policy_kind(policy)} has its say before the route is known, so it can only stand on the "
                    "gateway: Gateway(policies=[...])"
                ] = None
        hooks = _hooks([live for _, _, live in live_policies])
        return replace(hooks, enter=()) if hooks.enter else hooks

    def _live_policies(
        self, layers: Sequence[DeclaredPolicies], facts: RouteFacts | None = None
    ) -> list[tuple[str, Policy, object]]:
        """Return each policy that applies: its place, its declaration and the live object."""
        live_policies: list[tuple[str, Policy, object]] = []
        for place, policy in effective_policies(layers):
            try:
                if facts is not None:
                    for line in _check(policy, facts):
                        self._problems[f"{place}: {line}"] = None
                live_policies.append((place, policy, self._change.policy(place, policy)))
            except (ValueError, TypeError) as error:
                self._problems[f"{place}: {error}"] = None
            except Exception as error:
                # A mistake of the policy's own: all that is declared fails with it, and not only the first request.
                kind = policy_kind(policy)
                self._problems[f"{place}: {kind} raised {type(error).__name__} when it was compiled: {error}"] = None
        return live_policies


def _hooks(live_policies: list[object]) -> Hooks:
    return Hooks.of(live_policies) if live_policies else NO_HOOKS


def _check(policy: Policy, facts: RouteFacts) -> Iterator[str]:
    check = getattr(policy, "check", None)
    if check is not None:
        yield from check(facts)
