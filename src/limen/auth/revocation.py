"""What ends tokens before their time: the seam between who ends them, who verifies them, and where it is kept."""

from collections.abc import Callable
from typing import Final, Protocol

from limen.exchange.principal import Principal

Test = Callable[[Principal], bool]


class OfSession:
    """The test for the tokens of one session: a verifier may know them by ``session``, and need not try it on each.

    A store that calls its listeners with any other function that does the same is right as well, and slower.
    """

    __slots__ = ("session",)

    def __init__(self, session: str) -> None:
        """``session`` is the claim ``sid``."""
        self.session: Final = session

    def __call__(self, principal: Principal) -> bool:
        """Tell whether the token of ``principal`` is of the session."""
        return principal.claims.get("sid") == self.session


class RevocationStore(Protocol):
    """Knows which tokens have ended early. ``limen.auth.revocation_live.Revocations`` is the one in memory.

    Verifiers ask ``ended`` once for each token, before they remember it; what they remember is dropped through ``listen``, so
    that a token that is remembered costs nothing. A store that several processes share keeps a copy in memory for ``ended``,
    which must answer at once, and calls its listeners for each end that comes from elsewhere. Times are in seconds since the
    epoch; ``until`` is when the last of the tokens concerned has ended by itself (``Jwt.outlived`` tells), and the entry
    may be forgotten.
    """

    def end_session(self, session: str, until: float) -> None:
        """End the tokens of a session, those whose claim ``sid`` it is."""
        ...

    def end_subject(self, subject: str, before: float, until: float) -> None:
        """End the tokens of a caller, by ``Principal.id``, that were issued before a time, or do not say when."""
        ...

    def ended(self, principal: Principal, now: float) -> bool:
        """Tell whether the token that ``principal`` came with has ended. Never raises, and never waits."""
        ...

    def listen(self, callback: Callable[[Test], None]) -> None:
        """Call ``callback`` at each end, with a test that tells whose tokens it concerns."""
        ...
