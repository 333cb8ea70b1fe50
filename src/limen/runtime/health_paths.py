"""Where a gateway answers for its health, as declared."""

from collections.abc import Iterator
from dataclasses import dataclass

from limen.routing.pattern import Pattern
from limen.routing.table import HealthEndpoint


@dataclass(frozen=True, slots=True)
class HealthPaths:
    """The paths of the readiness endpoint and of the liveness endpoint. None, or an empty text, is no endpoint."""

    ready: str | None
    live: str | None


def declared_endpoints(paths: HealthPaths, problems: list[str]) -> tuple[HealthEndpoint, ...]:
    """Return the endpoints at ``paths``; add what is wrong with these to ``problems``."""
    try:
        found = tuple(_endpoints(paths))
    except (TypeError, ValueError) as error:
        problems.append(f"Gateway: {error}")
        return ()
    if len({one.path for one in found}) < len(found):
        problems.append(f"Gateway: ready_path and live_path are both {paths.ready!r}; give them different paths")
    return found


def _endpoints(paths: HealthPaths) -> Iterator[HealthEndpoint]:
    for name, path, ready in (("ready_path", paths.ready, True), ("live_path", paths.live, False)):
        if path is None or path == "":
            continue
        if not isinstance(path, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users may get it wrong
            raise TypeError(f"{name}={path!r} is no path; give a text such as '/healthz', or None for no endpoint")
        try:
            pattern = Pattern.parse(path)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if pattern.names:
            raise ValueError(f"{name}={path!r} has a parameter; give one path, such as '/healthz'")
        yield HealthEndpoint(path, ready)
