"""Readiness waits for active checks: each target of an upstream with ``health=`` has to be checked once.

By whom does not matter: where several workers serve, one of them checks for all. An upstream of which all were checked stays
ready: a gateway that serves is not to leave the line because a name has another address, or because it was reloaded.
"""

from collections.abc import Mapping

from limen.runtime.readiness import Readiness
from limen.upstream.live import LiveUpstream


class CheckedTargets:
    """The readiness checks of upstreams whose targets are checked."""

    __slots__ = ("_done", "_names", "_readiness")

    def __init__(self, readiness: Readiness) -> None:
        """Require nothing yet."""
        self._readiness = readiness
        self._names: set[str] = set()
        self._done: set[str] = set()  # upstreams of which all targets were checked at some time

    def require(self, upstreams: Mapping[str, LiveUpstream]) -> None:
        """Be ready only once all targets of these were checked, and of no others."""
        wanted = {name for name, upstream in upstreams.items() if upstream.upstream.health is not None}
        for name in self._names - wanted:
            self._readiness.remove(_named(name))
        for name in sorted(wanted):
            self._readiness.add(_named(name), _Unchecked(upstreams[name], self._done))
        self._names = wanted
        self._done &= wanted


class _Unchecked:
    """Says how many targets of one upstream were not checked yet."""

    __slots__ = ("_done", "_upstream")

    def __init__(self, upstream: LiveUpstream, done: set[str]) -> None:
        self._upstream = upstream
        self._done = done

    def __call__(self) -> str | None:
        name = self._upstream.upstream.name
        if name in self._done:
            return None
        missing, all_of_them = self._upstream.unchecked(), len(self._upstream.targets)
        if not missing:
            self._done.add(name)
            return None
        return f"{missing} of {all_of_them} targets {'was' if missing == 1 else 'were'} not checked yet"


def _named(upstream: str) -> str:
    return f"upstream {upstream}"
