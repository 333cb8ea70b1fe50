"""Routes that share a prefix and options."""

from collections.abc import Callable, Sequence
from typing import Unpack

from limen.app.options import RouteOptions, Stub, Verbs
from limen.exchange.policy import Policy
from limen.runtime.declared_policies import DeclaredPolicies


class Group(Verbs):
    """A prefix and default options for routes. A route's own options replace the defaults; its policies are added."""

    def __init__(self, parent: Verbs, prefix: str, defaults: RouteOptions) -> None:
        """Declare routes at ``parent``, under ``prefix``, with ``defaults``."""
        self._parent = parent
        self._prefix = prefix
        self._defaults: RouteOptions = {**defaults}
        policies = self._defaults.pop("policies", None)
        self._declared_policies = () if policies is None else (parent.declare_policies(prefix, policies),)

    def declare(
        self, method: str, path: str, options: RouteOptions, groups: Sequence[DeclaredPolicies] = ()
    ) -> Callable[[Stub], Stub]:
        """Declare ``method prefix+path`` at the parent."""
        merged: RouteOptions = {**self._defaults, **options}
        return self._parent.declare(method, self._prefix + path, merged, (*self._declared_policies, *groups))

    def full_path(self, path: str) -> str:
        """Return ``path`` behind the prefixes of this group and of those around it."""
        return self._parent.full_path(self._prefix + path)

    def report(self, problem: str) -> None:
        """Keep ``problem`` until the next compile, which fails with it."""
        self._parent.report(problem)

    def declare_policies(self, prefix: str, policies: Sequence[Policy]) -> DeclaredPolicies:
        """Check ``policies`` of a group within this one."""
        return self._parent.declare_policies(self._prefix + prefix, policies)

    def group(self, prefix: str, **defaults: Unpack[RouteOptions]) -> "Group":
        """Return a group within this one."""
        return Group(self, prefix, defaults)
