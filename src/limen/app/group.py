"""Routes that share a prefix and options."""

from collections.abc import Callable, Sequence
from typing import Unpack, cast

from limen.app.group_policies import GroupPolicies
from limen.app.options import EVERY_METHOD, ForwardOptions, RouteOptions, Stub, Verbs, listed_methods
from limen.upstream.retry import IDEMPOTENT


class Group(Verbs):
    """A prefix and default options for routes. A route's own options replace the defaults; its policies are added."""

    def __init__(self, parent: Verbs, prefix: str, defaults: RouteOptions) -> None:
        """Declare routes at ``parent``, under ``prefix``, with ``defaults``."""
        self._parent = parent
        self._own_prefix = prefix
        self.prefix = parent.prefix + prefix
        self._defaults: RouteOptions = {**defaults}
        policies = self._defaults.pop("policies", None)
        self._policies = () if policies is None else (GroupPolicies(self.prefix, policies),)
        for group in self._policies:
            self.declare_group(group)

    def declare(
        self, methods: Sequence[str], path: str, options: RouteOptions, groups: Sequence[GroupPolicies] = ()
    ) -> Callable[[Stub], Stub]:
        """Declare ``prefix+path`` at the parent."""
        merged: RouteOptions = {**self._defaults, **options}
        if "idempotency_key" not in options and _may_be_repeated(methods):
            merged.pop("idempotency_key", None)
        return self._parent.declare(methods, self._own_prefix + path, merged, (*self._policies, *groups))

    def declare_forward(self, path: str, options: ForwardOptions, groups: Sequence[GroupPolicies] = ()) -> None:
        """Forward ``prefix+path`` at the parent."""
        merged = cast("ForwardOptions", {**self._defaults, **options})
        if "idempotency_key" not in options and _may_be_repeated(listed_methods(merged.get("methods", EVERY_METHOD))):
            merged.pop("idempotency_key", None)
        self._parent.declare_forward(self._own_prefix + path, merged, (*self._policies, *groups))

    def full_path(self, path: str) -> str:
        """Return ``path`` behind the prefixes of this group and of those around it."""
        return self._parent.full_path(self._own_prefix + path)

    def report(self, problem: str) -> None:
        """Keep ``problem`` until the next compile, which fails with it."""
        self._parent.report(problem)

    def declare_group(self, group: GroupPolicies) -> None:
        """Take note of the policies of a group within this one."""
        self._parent.declare_group(group)

    def group(self, prefix: str, **defaults: Unpack[RouteOptions]) -> "Group":
        """Return a group within this one."""
        return Group(self, prefix, defaults)


def _may_be_repeated(methods: Sequence[str]) -> bool:
    """Tell whether all of ``methods`` may be repeated without a key: what a group says of keys is not for them."""
    return all(method.encode() in IDEMPOTENT for method in methods)
