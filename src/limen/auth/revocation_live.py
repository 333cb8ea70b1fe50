"""Tokens that ended before their time, in the memory of one process. What is full refuses too much, never too little."""

import logging
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from limen.auth.revocation import OfSession, Test
from limen.exchange.principal import Principal

logger = logging.getLogger("limen.revocation")

MOST = 100_000


class Revocations:
    """A ``RevocationStore`` in memory: other processes know nothing of it, and a restart forgets it.

    With short tokens that is a matter of minutes: what a logout in another worker ended is refused there once it expires, and
    its session cannot be refreshed. An entry is forgotten when the tokens concerned have ended by themselves. Of more than
    ``most`` at once, those that end first are given up for a single rule: every token that ends as early is refused, and
    its holder has to refresh.
    """

    __slots__ = ("_floor", "_heap", "_listeners", "_most", "_sessions", "_subjects")

    def __init__(self, most: int = MOST) -> None:
        """Begin with nothing ended; ``most`` bounds sessions and subjects together. Raises ValueError below 1."""
        if most < 1:
            raise ValueError(f"Revocations: most={most} would remember nothing; use at least 1")
        self._most = most
        self._sessions: dict[str, float] = {}
        self._subjects: dict[str, tuple[float, float]] = {}
        self._heap: list[tuple[float, bool, str]] = []
        self._listeners: list[Callable[[Test], None]] = []
        self._floor = 0.0

    def end_session(self, session: str, until: float) -> None:
        """End the tokens whose ``sid`` is ``session``; forgotten at ``until``, seconds since the epoch."""
        known = self._sessions.get(session)
        if known is None or known < until:
            self._sessions[session] = until
            heappush(self._heap, (until, True, session))
        self._tell(OfSession(session))

    def end_subject(self, subject: str, before: float, until: float) -> None:
        """End the tokens of the caller ``subject`` issued before ``before``; forgotten at ``until``, both since the epoch.

        Tokens say in whole seconds when they were issued: one of the same second counts as before. To end some of a caller's
        tokens and issue another at once, end their sessions.
        """
        known = self._subjects.get(subject)
        if known is not None:
            before, until = max(before, known[0]), max(until, known[1])
        if known is None or known[1] < until:
            heappush(self._heap, (until, False, subject))
        self._subjects[subject] = (before, until)
        self._tell(lambda principal: principal.id == subject and _issued(principal) < before)

    def ended(self, principal: Principal, now: float) -> bool:
        """Tell whether the token of ``principal`` has ended early; what is over at ``now`` is forgotten."""
        while self._heap and self._heap[0][0] <= now:
            self._pop()
        if _number(principal.claims.get("exp")) <= self._floor:
            return True
        session = principal.claims.get("sid")
        if isinstance(session, str) and session in self._sessions:
            return True
        before = self._subjects.get(principal.id)
        return before is not None and _issued(principal) < before[0]

    def listen(self, callback: Callable[[Test], None]) -> None:
        """Call ``callback`` at each end, with a test that tells whose tokens it concerns."""
        self._listeners.append(callback)

    def _tell(self, test: Test) -> None:
        for callback in self._listeners:
            callback(test)
        if len(self._heap) > 2 * len(self) + 64:  # the same ones ended again and again, each time for longer
            self._heap = [(until, True, name) for name, until in self._sessions.items()]
            self._heap += [(until, False, name) for name, (_, until) in self._subjects.items()]
            heapify(self._heap)
        if len(self) > self._most:
            floor = self._floor
            while len(self) > self._most:
                self._floor = max(self._floor, self._pop())
            if self._floor > floor:
                self._given_up(self._floor)

    def _given_up(self, floor: float) -> None:
        logger.warning(
            "more than %d sessions and callers ended at once: every token that ends before %.0f is refused; raise most=",
            *(self._most, floor),
        )
        for callback in self._listeners:
            callback(lambda principal: _number(principal.claims.get("exp")) <= floor)

    def _pop(self) -> float:
        """Forget the entry that ends first, unless it was prolonged since; return when that was."""
        until, is_session, name = heappop(self._heap)
        if is_session and self._sessions.get(name) == until:
            del self._sessions[name]
        elif not is_session and self._subjects.get(name, (0.0, 0.0))[1] == until:
            del self._subjects[name]
        return until

    def __len__(self) -> int:
        """Count the sessions and callers that are remembered."""
        return len(self._sessions) + len(self._subjects)

    def __repr__(self) -> str:
        """Show how many have ended, never who."""
        return f"<Revocations {len(self._sessions)} sessions, {len(self._subjects)} callers, of {self._most}>"


def _issued(principal: Principal) -> float:
    """Return when a token was issued; one that does not say it counts as the oldest."""
    return _number(principal.claims.get("iat"))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
