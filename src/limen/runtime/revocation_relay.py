"""Passes revocations on from the store to the verifiers of tokens. A verifier that is declared no more stops listening, which
a ``RevocationStore`` of the user's has no way to do.
"""

from collections.abc import Callable

from limen.auth.revocation import PrincipalTest, RevocationStore
from limen.exchange.principal import Principal


class RevocationRelay:
    """A ``RevocationStore`` over another, to which it listens once for all verifiers."""

    __slots__ = ("_listeners", "_store")

    def __init__(self, store: RevocationStore) -> None:
        """Listen to ``store``."""
        self._store = store
        self._listeners: list[Callable[[PrincipalTest], None]] = []
        store.listen(self._notify)

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
        """Call ``callback`` at each revocation, until it is given to ``unlisten``."""
        self._listeners.append(callback)

    def unlisten(self, callback: Callable[[PrincipalTest], None]) -> None:
        """Stop calling ``callback``."""
        self._listeners = [listener for listener in self._listeners if listener != callback]

    def _notify(self, test: PrincipalTest) -> None:
        for callback in self._listeners:
            callback(test)

    def __repr__(self) -> str:
        """Show the number of listeners."""
        return f"<RevocationRelay {len(self._listeners)} listeners>"
