"""Ended tokens, in the memory of one process. A full store refuses too many tokens, never too few."""

import logging
import threading
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from limen.auth.revocation import PrincipalTest, SessionTest
from limen.exchange.principal import Principal

logger = logging.getLogger("limen.revocation")

MOST = 100_000


class Revocations:
    """A ``RevocationStore`` in memory: other processes do not know its entries, and a restart forgets them.

    With short tokens that matters for minutes: a token that was ended by another worker is refused once it expires, and its
    session cannot be refreshed. An entry is forgotten when its tokens have ended by themselves. Beyond ``most`` entries,
    those that end first are replaced by one rule: every token that ends as early is refused, and its holder has to refresh.
    Any thread may call it.
    """

    __slots__ = ("_floor", "_heap", "_listeners", "_lock", "_most", "_sessions", "_subjects")

    def __init__(self, most: int = MOST) -> None:
        """Begin without entries. ``most`` bounds sessions and subjects together. Raises ValueError below 1."""
        if most < 1:
            raise ValueError(f"Revocations: most={most} would remember nothing; use at least 1")
        self._most = most
        self._sessions: dict[str, float] = {}
        self._subjects: dict[str, tuple[float, float]] = {}
        self._heap: list[tuple[float, bool, str]] = []
        self._listeners: list[Callable[[PrincipalTest], None]] = []
        self._floor = 0.0
        self._lock = threading.RLock()

    def end_session(self, session: str, until: float) -> None:
        """End the tokens whose ``sid`` is ``session``; the entry is forgotten at ``until``, in seconds since the epoch."""
        with self._lock:
            known = self._sessions.get(session)
            if known is None or known < until:
                self._sessions[session] = until
                heappush(self._heap, (until, True, session))
            self._notify(SessionTest(session))

    def end_subject(self, subject: str, before: float, until: float) -> None:
        """End the tokens of the caller ``subject`` that were issued before ``before``; the entry is forgotten at ``until``.

        Tokens are issued at whole seconds: one of the same second counts as before. To end some of a caller's tokens and
        issue another at once, end their sessions.
        """
        with self._lock:
            known = self._subjects.get(subject)
            if known is not None:
                before, until = max(before, known[0]), max(until, known[1])
            if known is None or known[1] < until:
                heappush(self._heap, (until, False, subject))
            self._subjects[subject] = (before, until)
            self._notify(lambda principal: principal.id == subject and _issued_at(principal) < before)

    def ended(self, principal: Principal, now: float) -> bool:
        """Tell whether the token of ``principal`` has ended early, and forget the entries that are over at ``now``."""
        with self._lock:
            return self._ended(principal, now)

    def _ended(self, principal: Principal, now: float) -> bool:
        while self._heap and self._heap[0][0] <= now:
            self._pop()
        if _number(principal.claims.get("exp")) <= self._floor:
            return True
        session = principal.claims.get("sid")
        if isinstance(session, str) and session in self._sessions:
            return True
        before = self._subjects.get(principal.id)
        return before is not None and _issued_at(principal) < before[0]

    def listen(self, callback: Callable[[PrincipalTest], None]) -> None:
        """Call ``callback`` at each end, with a test for the callers whose tokens it ends."""
        self._listeners.append(callback)

    def _notify(self, test: PrincipalTest) -> None:
        for callback in self._listeners:
            callback(test)
        if len(self._heap) > 2 * len(self) + 64:  # some were prolonged again and again
            self._heap = [(until, True, name) for name, until in self._sessions.items()]
            self._heap += [(until, False, name) for name, (_, until) in self._subjects.items()]
            heapify(self._heap)
        if len(self) > self._most:
            floor = self._floor
            while len(self) > self._most:
                self._floor = max(self._floor, self._pop())
            if self._floor > floor:
                self._announce_floor(self._floor)

    def _announce_floor(self, floor: float) -> None:
        logger.warning(
            "more than %d sessions and callers ended at once: every token that ends before %.0f is refused; raise most=",
            *(self._most, floor),
        )
        for callback in self._listeners:
            callback(lambda principal: _number(principal.claims.get("exp")) <= floor)

    def _pop(self) -> float:
        """Forget the entry that ends first, unless it was prolonged; return when it ends."""
        until, is_session, name = heappop(self._heap)
        if is_session and self._sessions.get(name) == until:
            del self._sessions[name]
        elif not is_session and self._subjects.get(name, (0.0, 0.0))[1] == until:
            del self._subjects[name]
        return until

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._sessions) + len(self._subjects)

    def __repr__(self) -> str:
        """Show how many sessions and callers have entries, never which."""
        return f"<Revocations {len(self._sessions)} sessions, {len(self._subjects)} callers, of {self._most}>"


def _issued_at(principal: Principal) -> float:
    """Return when a token was issued; one that does not say counts as the oldest."""
    return _number(principal.claims.get("iat"))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
