"""Whether a gateway is ready for new requests: what its readiness endpoint asks. Nothing is refused here.

Whatever takes its time, or may be out of order, adds a check; while a server drains, the answer is no whatever they find.
"""

from collections.abc import Callable
from typing import Final

from limen.observe.redaction import logger

_log = logger("limen.runtime.readiness")

Check = Callable[[], str | None]
"""Returns why something is not ready, or None. It is called for each request of the readiness endpoint: it does no I/O."""

MOST_REASONS: Final = 10
"""Reasons that are told at once; the others are counted."""

_DRAINING: Final = "it drains"


class Readiness:
    """The checks of one runtime, by name, and whether its server drains."""

    __slots__ = ("_checks", "_draining")

    def __init__(self) -> None:
        """Be ready: nothing is checked yet."""
        self._checks: dict[str, Check] = {}
        self._draining = False

    def add(self, name: str, check: Check) -> None:
        """Ask ``check`` from now on, in place of the one with this ``name``.

        Everybody who can connect may read name and reason, such as "upstream orders" and "2 targets were not checked yet": no
        addresses, and nothing that a service or a client has said.
        """
        self._checks[name] = check

    def remove(self, name: str) -> None:
        """Ask the check with this ``name`` no more. Raises KeyError if there is none."""
        del self._checks[name]

    def drain(self) -> None:
        """Be ready no more: the server is about to stop."""
        self._draining = True

    @property
    def draining(self) -> bool:
        """Tell whether the server is about to stop."""
        return self._draining

    def reasons(self) -> tuple[str, ...]:
        """Return why it is not ready, as parts of a sentence; none if it is."""
        found = [_DRAINING] if self._draining else []
        for name, check in self._checks.items():
            if (reason := _asked(name, check)) is not None:
                found.append(f"{name}: {reason}")
        if len(found) > MOST_REASONS:
            found[MOST_REASONS:] = [f"and {len(found) - MOST_REASONS} more"]
        return tuple(found)

    def __repr__(self) -> str:
        """Show the state and what is checked."""
        return f"<Readiness {'draining' if self._draining else 'serving'} checks={list(self._checks)}>"


def _asked(name: str, check: Check) -> str | None:
    try:
        return check()
    except Exception:
        _log.exception("the check of %s failed", name)
        return "its check failed"
