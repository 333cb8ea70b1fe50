"""Routes that share a prefix and options."""

from collections.abc import Callable
from typing import Unpack

from limen.app.options import RouteOptions, Stub, Verbs


class Group(Verbs):
    """A prefix and defaults over a gateway or another group; a route's own options win."""

    def __init__(self, parent: Verbs, prefix: str, defaults: RouteOptions) -> None:
        """Declare through ``parent``, under ``prefix``, with ``defaults``."""
        self._parent = parent
        self._prefix = prefix
        self._defaults = defaults

    def declare(self, method: str, path: str, options: RouteOptions) -> Callable[[Stub], Stub]:
        """Declare ``method prefix+path`` at the parent."""
        merged: RouteOptions = {**self._defaults, **options}
        return self._parent.declare(method, self._prefix + path, merged)

    def group(self, prefix: str, **defaults: Unpack[RouteOptions]) -> "Group":
        """Return a group within this one."""
        return Group(self, prefix, defaults)
