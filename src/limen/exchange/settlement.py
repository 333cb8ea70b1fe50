"""What is done once when an exchange is over, whatever happened: leases go back, and policies learn what came of it."""

from functools import partial

from limen.exchange.calling import call_all
from limen.exchange.hooks import Lease, Settle
from limen.exchange.outcome import Outcome


class Settlement:
    """What one exchange was granted, and who is to be told at its end."""

    __slots__ = ("_hooks", "_leases")

    def __init__(self, hooks: tuple[Settle, ...]) -> None:
        """Nothing is granted yet."""
        self._hooks = hooks
        self._leases: list[Lease] = []

    def grant(self, lease: Lease) -> None:
        """Keep ``lease`` until the end."""
        self._leases.append(lease)

    def settle(self, outcome: Outcome) -> None:
        """Give the leases back in reverse order and tell the policies; a second call does nothing.

        What one of them raises keeps none of the others from it; the first of that is raised at the end.
        """
        leases, self._leases = self._leases, []
        hooks, self._hooks = self._hooks, ()
        call_all([*(lease.release for lease in reversed(leases)), *(partial(hook, outcome) for hook in hooks)])
