"""The ``form_limits`` of included routers. FastAPI finds them while a request passes through them; a stub has no such way."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.routing import BaseRoute

FormLimits = Mapping[str, int]


def router_form_limits(routes: Sequence[BaseRoute], outer: FormLimits | None = None) -> dict[int, FormLimits]:
    """Return the limits that routers give their routes, by the id of what FastAPI has found of each route.

    The inner router wins, and a router wins over its inclusion. ``outer`` are those of the routers around.
    """
    found: dict[int, FormLimits] = {}
    for route in routes:
        included: Any = route
        if not hasattr(included, "effective_candidates"):
            if outer:
                found[id(route)] = outer
            continue
        limits = {**(outer or {}), **included.include_context.form_limits}
        found |= router_form_limits(included.effective_candidates(), limits)
    return found
