"""The policies of one phase, ``enter``, ``arrive``, ``limit`` or ``lookup``, which are asked one after the other.

``limen.exchange.hooks`` says what each may give: nothing, which lets the request pass; an answer; a lease, which lets it pass
too; or something to await, which gives one of these.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import cast, final

from limen.errors import Fault
from limen.exchange.granted import Lease
from limen.exchange.hooks import Decision
from limen.exchange.request import Request
from limen.exchange.settlement import Settlement
from limen.http.replies import Reply


@final
class PolicyPhase:
    """The policies of one phase, until one of them answers."""

    __slots__ = ("_asked", "_hooks", "_request", "_settlement")

    def __init__(self, hooks: Sequence[Callable[[Request], object]], request: Request, settlement: Settlement) -> None:
        """None has been asked; ``settlement`` keeps what they grant."""
        self._hooks = hooks
        self._request = request
        self._settlement = settlement
        self._asked: int = 0

    def ask(self) -> Decision | Awaitable[object]:
        """Ask those that were not asked yet: return the first answer, or what has to be awaited; None if all let it pass."""
        hooks = self._hooks
        while self._asked < len(hooks):
            given = hooks[self._asked](self._request)
            self._asked += 1
            if given is not None and hasattr(given, "__await__"):
                return cast("Awaitable[object]", given)
            decision = self._taken(given)
            if decision is not None:
                return decision
        return None

    def go_on(self, value: object) -> Decision | Awaitable[object]:
        """Take the ``value`` that was awaited, and ask the others, unless it is an answer; return what ``ask`` does."""
        decision = self._taken(value)
        return self.ask() if decision is None else decision

    def _taken(self, given: object) -> Decision:
        """Return the answer that a policy has given, if it is one; keep a lease."""
        if given is None or isinstance(given, Fault | Reply):
            return given
        self._settlement.grant(cast("Lease", given))
        return None

    def __repr__(self) -> str:
        """Show how many were asked."""
        return f"<PolicyPhase {self._asked} of {len(self._hooks)} asked>"
