"""``forward``: everything under a path goes to a service, unread."""

from collections.abc import Sequence
from typing import Any, Final, cast

from fastapi import APIRouter

from limen.app.declaration import register
from limen.app.group_policies import GroupPolicies
from limen.app.options import EVERY_METHOD, ForwardOptions, RouteOptions, listed_methods

_OF_DOCUMENT: Final = frozenset(("document", "name", "summary", "description"))
_OF_FORWARD: Final = frozenset(ForwardOptions.__annotations__)
_OF_ROUTE: Final = _OF_FORWARD - _OF_DOCUMENT - {"methods"}


def declare_forward(
    router: APIRouter, path: str, options: ForwardOptions, groups: Sequence[GroupPolicies] = ()
) -> None:
    """Declare that ``router`` forwards ``path``."""
    stray = sorted(set(options) - _OF_FORWARD)
    methods = listed_methods(options.get("methods", EVERY_METHOD))
    given: dict[str, Any] = {key: value for key, value in options.items() if key in _OF_ROUTE}
    if isinstance(given.get("tags"), str):
        del given["tags"]  # which is told when it is documented
    declared = register(router, methods, path, _service, cast("RouteOptions", given))
    declared.forward = options
    declared.groups = groups
    if stray:
        declared.problems = [
            *declared.problems,
            f"forward() has no option {'=, '.join(stray)}=; it reads neither bodies nor answers; leave it out",
        ]


def _service() -> None:
    """Stand for the service in FastAPI's table; it is never called."""
