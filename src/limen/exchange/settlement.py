"""The end of an exchange, once and whatever happened: leases are released, and policies get the outcome."""

from functools import partial

from limen.exchange.calling import call_all
from limen.exchange.granted import Lease
from limen.exchange.hooks import Settle
from limen.exchange.outcome import Outcome


class Settlement:
    """The leases of one exchange, and the hooks that get its outcome."""

    __slots__ = ("_hooks", "_leases")

    def __init__(self, hooks: tuple[Settle, ...]) -> None:
        """Begin without a lease."""
        self._hooks = hooks
        self._leases: list[Lease] = []

    def grant(self, lease: Lease) -> None:
        """Keep ``lease`` until the end."""
        self._leases.append(lease)

    def settle(self, outcome: Outcome) -> None:
        """Release the leases in reverse order and call the hooks; a second call does nothing.

        All are called, also after one has raised; the first error is raised at the end.
        """
        leases, self._leases = self._leases, []
        hooks, self._hooks = self._hooks, ()
        call_all([*(lease.release for lease in reversed(leases)), *(partial(hook, outcome) for hook in hooks)])
