"""Ending tokens before their time: the interface between who ends them, who verifies them, and the store."""

from collections.abc import Callable
from typing import Final, Protocol

from limen.exchange.principal import Principal

PrincipalTest = Callable[[Principal], bool]


class SessionTest:
    """Tests for the tokens of one session. A verifier that knows them by ``session`` need not run the test on each token.

    A store may call its listeners with any other function that does the same; it is slower.
    """

    __slots__ = ("session",)

    def __init__(self, session: str) -> None:
        """``session`` is the claim ``sid``."""
        self.session: Final = session

    def __call__(self, principal: Principal) -> bool:
        """Tell whether the token of ``principal`` is of the session."""
        return principal.claims.get("sid") == self.session


class RevocationStore(Protocol):
    """Knows which tokens have ended early. ``limen.auth.Revocations`` is the one in memory.

    A verifier asks ``ended`` once for each token, before it caches it, and drops what it has cached through ``listen``: so a
    cached token costs nothing. A store that several processes share keeps a copy in memory for ``ended``, which must answer
    at once, and calls its listeners for each end that comes from elsewhere. Times are in seconds since the epoch. ``until``
    is when the last of the tokens concerned has ended by itself (see ``Jwt.outlived``); then the entry may be forgotten.
    """

    def end_session(self, session: str, until: float) -> None:
        """End the tokens of a session: those whose claim ``sid`` it is."""
        ...

    def end_subject(self, subject: str, before: float, until: float) -> None:
        """End the tokens of a caller, by ``Principal.id``, that were issued before a time, or do not say when."""
        ...

    def ended(self, principal: Principal, now: float) -> bool:
        """Tell whether the token of ``principal`` has ended. Never raises, and never waits."""
        ...

    def listen(self, callback: Callable[[PrincipalTest], None]) -> None:
        """Call ``callback`` at each end, with a test for the callers whose tokens it ends."""
        ...
