"""Passes revocations on from the store to the verifiers of tokens. A verifier that is declared no more stops listening, which
a ``RevocationStore`` of the user's has no way to do.

A gateway has one relay that listens to the store, and over it each runtime has its own, which tells its verifiers in the
runtime's event loop. So a verifier checks a token against the store and caches it with no revocation in between, whatever
thread that one comes from.
"""

import asyncio
import contextlib
from collections.abc import Callable

from limen.auth.revocation import PrincipalTest, RevocationStore
from limen.exchange.principal import Principal
from limen.runtime.system import running_loop


class RevocationRelay:
    """A ``RevocationStore`` over another, to which it listens once for all its listeners."""

    __slots__ = ("_listeners", "_loop", "_store")

    def __init__(self, store: RevocationStore) -> None:
        """Listen to ``store``, which may be a relay as well."""
        self._store = store
        self._listeners: tuple[Callable[[PrincipalTest], None], ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        store.listen(self._notify)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call the listeners in ``loop`` from now on; before this they are called at once."""
        self._loop = loop

    def close(self) -> None:
        """Stop listening to the relay below."""
        if isinstance(self._store, RevocationRelay):
            self._store.unlisten(self._notify)

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
        self._listeners = (*self._listeners, callback)

    def unlisten(self, callback: Callable[[PrincipalTest], None]) -> None:
        """Stop calling ``callback``."""
        self._listeners = tuple(listener for listener in self._listeners if listener != callback)

    def _notify(self, test: PrincipalTest) -> None:
        if self._loop is None or running_loop() is self._loop:
            self._tell(test)
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: its verifiers verify nothing any more
            self._loop.call_soon_threadsafe(self._tell, test)

    def _tell(self, test: PrincipalTest) -> None:
        for callback in self._listeners:
            callback(test)

    def __repr__(self) -> str:
        """Show the number of listeners."""
        return f"<RevocationRelay {len(self._listeners)} listeners>"
