"""What tests of the users service's sessions say often: a clock for them, and short words for what a store does."""

from collections.abc import Callable
from datetime import UTC, datetime

from shop_users.sessions import Begun, Ended, Refreshed, Rules, Sessions, Token

STRANGER = "refresh_" + "a" * 65
"""Has the form of a refresh token, and was never given to anybody."""

Open = Callable[[Rules], Sessions]
"""Opens the one store by any rules."""


class Hand:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def begin(kept: Sessions, account_id: int = 1) -> Begun:
    return await kept.begin(account_id, user_agent="curl/8", address="192.0.2.1")


def read(text: str) -> Token:
    token = Token.read(text)
    assert token is not None
    return token


async def refresh(kept: Sessions, text: str) -> Refreshed | Ended | None:
    return await kept.refresh(read(text))


async def refreshed(kept: Sessions, text: str) -> Refreshed:
    found = await refresh(kept, text)
    assert isinstance(found, Refreshed)
    return found


async def ids(kept: Sessions, account_id: int = 1) -> list[str]:
    return [session.id for session in await kept.of(account_id)]
