"""A clock and short functions for tests of session stores."""

from collections.abc import Callable
from datetime import UTC, datetime

from limen_accounts.sessions import (
    EndedSession,
    NewSession,
    RefreshedSession,
    RefreshToken,
    SessionLimits,
    SessionStore,
)

UNKNOWN_TOKEN = "refresh_" + "a" * 65
"""A well-formed refresh token that was never issued."""

OpenSessions = Callable[[SessionLimits], SessionStore]
"""Opens the one store with any limits."""


class FakeClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        """Begin with 2026."""
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the same time, until ``now`` is set to another."""
        return self.now


async def begin(session_store: SessionStore, account_id: int = 1) -> NewSession:
    """Begin a session of an account, from some client."""
    return await session_store.begin_session(account_id, user_agent="curl/8", address="192.0.2.1")


def parse(text: str) -> RefreshToken:
    """Return the well-formed refresh token ``text``."""
    token = RefreshToken.parse(text)
    assert token is not None
    return token


async def refresh(session_store: SessionStore, text: str) -> RefreshedSession | EndedSession | None:
    """Use a refresh token, whatever comes of it."""
    return await session_store.refresh_session(parse(text))


async def refreshed(session_store: SessionStore, text: str) -> RefreshedSession:
    """Use a refresh token that works."""
    found = await refresh(session_store, text)
    assert isinstance(found, RefreshedSession)
    return found


async def ids(session_store: SessionStore, account_id: int = 1) -> list[str]:
    """Return the ids of an account's sessions, the last used first."""
    return [session.id for session in await session_store.list_sessions(account_id)]
