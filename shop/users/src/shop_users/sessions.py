"""Sessions, their refresh tokens, and what every store of them can do. Nothing here knows HTTP or a database.

A session begins at login and lives on by its refresh token, which serves once: each use gives the next one (RFC 9700,
section 4.14.2). A token is ``refresh_``, a handle that all tokens of one session share, and 256 random bits of its own. No
part of it is stored: the session's id is a digest of the handle, and beside it is the digest of the one token that is good
now. So a token with a known handle that is not the one expected is an old one, however old, at the cost of one row.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Protocol

from shop_users.accounts import Account

PREFIX = "refresh_"
"""What every refresh token begins with, so that scanners find one in a repository or a log."""

SESSION_ID = r"^[A-Za-z0-9_\-]{22}$"
"""The form of a session's id."""

# Bytes: what nobody can guess, or find by trying, is 128 bits at least.
_HANDLE, _SECRET = 16, 32
_TOKEN = re.compile(rf"{PREFIX}([A-Za-z0-9_\-]{{22}})[A-Za-z0-9_\-]{{43}}")

# Characters of what a client says of itself that are worth a look.
_MOST_AGENT, _MOST_ADDRESS = 200, 64

Clock = Callable[[], datetime]
"""Tells the time, with its zone."""


def wall_clock() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long sessions last.

    A refresh token is good for ``refresh``, and a session for ``longest`` however often it is refreshed. A user has
    ``most`` sessions; one more ends the one that was not used for the longest time.

    ``grace`` is for clients that lose answers: for so long after a refresh, the token that it used up serves once more, and
    gives another in place of the one that was given. It is nothing by default. With it, a thief who is that quick gets
    tokens, and is found out only when the owner, whose token is dead by then, comes with it; without it, a client that lost
    an answer logs in again. In no case do two tokens of a session go on side by side.
    """

    refresh: timedelta = timedelta(days=30)
    longest: timedelta = timedelta(days=90)
    grace: timedelta = timedelta()
    most: int = 100

    def end(self, created_at: datetime, now: datetime) -> datetime:
        """Return until when a token that is given ``now`` is good, in a session that began at ``created_at``."""
        return min(now + self.refresh, created_at + self.longest)


@dataclass(frozen=True, slots=True)
class Token:
    """A refresh token that has the form of one, and what may be stored of it."""

    text: str = field(repr=False)
    session_id: str
    digest: str = field(repr=False)

    @classmethod
    def first(cls) -> "Token":
        """Return the token that a new session begins with."""
        return _token(token_urlsafe(_HANDLE))

    @classmethod
    def read(cls, text: str) -> "Token | None":
        """Return the token in ``text``, or None when there is none."""
        found = _TOKEN.fullmatch(text)
        return None if found is None else cls(text, _short(found[1]), _digest(text))

    def next(self) -> "Token":
        """Return another token of the same session."""
        return _token(self.text.removeprefix(PREFIX)[:22])


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What may be told of a session. ``user_agent`` and ``address`` are of the login, as the client and gateway say."""

    id: str
    account_id: int
    user_agent: str
    address: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that has begun. ``refresh_token`` is told this once; it is good until ``expires_at``."""

    session_id: str
    refresh_token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Refreshed(Begun):
    """A session that goes on, and whose it is; the account is as it is now, not as it was at login."""

    account: Account


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that was ended by a token of it."""

    session_id: str
    account_id: int


class Gone(Exception):
    """The account is not there any more, or has another password by now."""


class Sessions(Protocol):
    """Where sessions are kept. Whatever runs at once, a token serves once, and nothing begins on an account that is gone.

    The sessions of an account also end with it, and when its password changes: ``accounts.Store`` does that, in one
    transaction with the change.
    """

    async def begin(
        self, account_id: int, *, user_agent: str, address: str, hashed_password: str | None = None
    ) -> Begun:
        """Begin a session of an account; raises Gone when there is no such account.

        A login gives the ``hashed_password`` that it has just verified (the better one, where it was replaced): Gone is also
        raised when the account has another by now, so that no session outlives the password that began it.
        """
        ...

    async def refresh(self, token: Token) -> Refreshed | Ended | None:
        """Use ``token`` up for the next one.

        A token that was used before ends its session, which is returned as Ended: one of the two who hold it has stolen
        it. None is a token of no session, or of one that is over.
        """
        ...

    async def of(self, account_id: int) -> list[Session]:
        """Return the sessions of an account that are not over, the last used first."""
        ...

    async def end(self, account_id: int, session_id: str) -> bool:
        """End a session of this account; tell whether there was one."""
        ...

    async def end_all(self, account_id: int) -> list[str]:
        """End all sessions of an account; return their ids."""
        ...

    async def end_by(self, token: Token) -> Ended | None:
        """End the session that ``token`` belongs to, whether it is the current one or a used one."""
        ...


def kept_agent(text: str) -> str:
    """Return what a store keeps of a user agent."""
    return _printable(text[:_MOST_AGENT])


def kept_address(text: str) -> str:
    """Return what a store keeps of an address."""
    return _printable(text[:_MOST_ADDRESS])


def _printable(text: str) -> str:
    # Clients write what they like, and terminals and databases do not take everything.
    return "".join(character if character.isprintable() else "?" for character in text)


def _token(handle: str) -> Token:
    text = f"{PREFIX}{handle}{token_urlsafe(_SECRET)}"
    return Token(text, _short(handle), _digest(text))


def _digest(text: str) -> str:
    # Nothing slower is needed: unlike a password, 256 random bits are found by no dictionary.
    return sha256(text.encode()).hexdigest()


def _short(handle: str) -> str:
    return urlsafe_b64encode(sha256(handle.encode()).digest()[:_HANDLE]).rstrip(b"=").decode()
