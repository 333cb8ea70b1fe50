"""The early ends of tokens as verifiers hear of them: one that is declared no more can be left out again, which a
``RevocationStore`` of the user's cannot do.
"""

from collections.abc import Callable

from limen.auth.revocation import PrincipalTest, RevocationStore
from limen.exchange.principal import Principal


class Ends:
    """A ``RevocationStore`` over another, to which it listens once for all verifiers."""

    __slots__ = ("_listeners", "_store")

    def __init__(self, store: RevocationStore) -> None:
        """Listen to ``store``."""
        self._store = store
        self._listeners: list[Callable[[PrincipalTest], None]] = []
        store.listen(self._tell)

    def end_session(self, session: str, until: float) -> None:
        """End the tokens of a session."""
        self._store.end_session(session, until)

    def end_subject(self, subject: str, before: float, until: float) -> None:
        """End the tokens of a caller."""
        self._store.end_subject(subject, before, until)

    def ended(self, principal: Principal, now: float) -> bool:
        """Tell whether the token of ``principal`` has ended."""
        return self._store.ended(principal, now)

    def listen(self, callback: Callable[[PrincipalTest], None]) -> None:
        """Call ``callback`` at each end, until it is given to ``leave``."""
        self._listeners.append(callback)

    def leave(self, callback: Callable[[PrincipalTest], None]) -> None:
        """Call ``callback`` no more."""
        self._listeners = [one for one in self._listeners if one != callback]

    def _tell(self, test: PrincipalTest) -> None:
        for callback in self._listeners:
            callback(test)

    def __repr__(self) -> str:
        """Show how many listen."""
        return f"<Ends {len(self._listeners)} listen>"
