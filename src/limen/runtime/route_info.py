"""A route as people see it: what ``limen routes`` prints and ``Gateway.describe`` returns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RouteInfo:
    """One route, its rule in words, and the engine that serves it, with the reason."""

    methods: tuple[str, ...]
    path: str
    upstream: str
    allow: str
    engine: str
    reason: str
