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
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def begin(session_store: SessionStore, account_id: int = 1) -> NewSession:
    return await session_store.begin_session(account_id, user_agent="curl/8", address="192.0.2.1")


def parse(text: str) -> RefreshToken:
    token = RefreshToken.parse(text)
    assert token is not None
    return token


async def refresh(session_store: SessionStore, text: str) -> RefreshedSession | EndedSession | None:
    return await session_store.refresh_session(parse(text))


async def refreshed(session_store: SessionStore, text: str) -> RefreshedSession:
    found = await refresh(session_store, text)
    assert isinstance(found, RefreshedSession)
    return found


async def ids(session_store: SessionStore, account_id: int = 1) -> list[str]:
    return [session.id for session in await session_store.list_sessions(account_id)]
