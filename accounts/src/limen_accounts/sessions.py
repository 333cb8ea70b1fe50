"""Sessions, refresh tokens, and the interface of the stores that keep them. Nothing here knows HTTP or a database.

A session begins at login and continues with its refresh token, which can be used once: each use returns the next one (RFC
9700, section 4.14.2). A token is ``refresh_``, a handle that all tokens of one session share, and 256 random bits of its
own. No part of it is stored: the session's id is a digest of the handle, and the row holds the digest of the current token.
So a token with a known handle and another digest is an old token, however old, and one row is enough to detect it.
"""

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Protocol

from limen_accounts.accounts import Account

REFRESH_PREFIX = "refresh_"
"""The beginning of every refresh token, by which secret scanners find one in a repository or a log."""

SESSION_ID = r"^[A-Za-z0-9_\-]{22}$"
"""The form of a session's id."""

MAX_SESSIONS = 999
"""Sessions that a user may have: the gateway reads 1,000 from one answer, which may name the caller's own beside them."""

# Bytes: at least 128 bits, which nobody can guess.
_HANDLE_BYTES, _SECRET_BYTES = 16, 32
_TOKEN_PATTERN = re.compile(rf"{REFRESH_PREFIX}([A-Za-z0-9_\-]{{22}})[A-Za-z0-9_\-]{{43}}")

# Characters that are stored of the client's user agent and address.
_MAX_USER_AGENT, _MAX_ADDRESS = 200, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """How long sessions last, and how many a user may have.

    A refresh token is valid for ``refresh_lifetime``, a session for ``max_lifetime`` at most. A user has at most
    ``max_sessions``; one more ends the least recently used.

    ``refresh_grace`` is for clients that lose a response: for this long after a refresh, the used token works once more, and
    its new token replaces the one that was lost. It is zero by default. With it, a thief who is quick enough gets a token,
    and is detected only when the owner uses the replaced one; without it, a client that lost a response has to log in again.
    Never are two tokens of one session valid at once.
    """

    refresh_lifetime: timedelta = timedelta(days=30)
    max_lifetime: timedelta = timedelta(days=90)
    refresh_grace: timedelta = timedelta()
    max_sessions: int = 100

    def __post_init__(self) -> None:
        """Refuse more sessions than one answer may end."""
        if not 1 <= self.max_sessions <= MAX_SESSIONS:
            raise ValueError(f"SessionLimits(max_sessions={self.max_sessions}): 1 to {MAX_SESSIONS}")

    def expiry(self, created_at: datetime, now: datetime) -> datetime:
        """Return when a token that is issued ``now`` expires, in a session that began at ``created_at``."""
        return min(now + self.refresh_lifetime, created_at + self.max_lifetime)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A well-formed refresh token, and the parts of it that may be stored."""

    text: str = field(repr=False)
    session_id: str
    digest: str = field(repr=False)

    @classmethod
    def of_new_session(cls) -> "RefreshToken":
        """Return the first token of a new session."""
        return _new_token(token_urlsafe(_HANDLE_BYTES))

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """Return the token in ``text``, or None when there is none."""
        match = _TOKEN_PATTERN.fullmatch(text)
        return None if match is None else cls(text, _session_id(match[1]), _digest(text))

    def successor(self) -> "RefreshToken":
        """Return another token of the same session."""
        return _new_token(self.text.removeprefix(REFRESH_PREFIX)[:22])


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session. ``user_agent`` and ``address`` are those of the login, as client and gateway sent them."""

    id: str
    account_id: int
    user_agent: str
    address: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has begun. ``refresh_token`` exists only here; it is valid until ``expires_at``."""

    session_id: str
    refresh_token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RefreshedSession(NewSession):
    """A session that continues, with the account as it is now, not as it was at login."""

    account: Account


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that one of its tokens has ended."""

    session_id: str
    account_id: int


class SessionStore(Protocol):
    """Where sessions are kept. Also under concurrency, a token works once, and no session begins on a deleted account.

    Deleting or locking an account, or changing its password or user type, ends its sessions: ``accounts.AccountStore`` does
    that in the same transaction.
    """

    async def begin_session(
        self,
        account_id: int,
        *,
        user_agent: str,
        address: str,
        hashed_password: str | None = None,
        user_type: str | None = None,
    ) -> NewSession:
        """Begin a session of an account; raises AccountMissing when there is no such account, or it is locked.

        A login passes the ``hashed_password`` that it has just verified (or its replacement), and the ``user_type`` that it
        will tell the gateway. AccountMissing is also raised when the account has another by now, so that no session outlives
        the password that began it, or a role that was taken away.
        """
        ...

    async def refresh_session(self, token: RefreshToken) -> RefreshedSession | EndedSession | None:
        """Exchange ``token`` for the next one.

        A token that was used before ends its session, returned as EndedSession: one of the two holders has stolen it. None
        means a token of no session, or of an expired one.
        """
        ...

    async def list_sessions(self, account_id: int) -> list[Session]:
        """Return the sessions of an account that have not expired, the last used first."""
        ...

    async def end_session(self, account_id: int, session_id: str) -> bool:
        """End a session of this account; return whether there was one."""
        ...

    async def end_sessions(self, account_id: int) -> list[str]:
        """End all sessions of an account; return their ids."""
        ...

    async def end_session_of(self, token: RefreshToken) -> EndedSession | None:
        """End the session of ``token``, whether the token is current or used."""
        ...


def stored_user_agent(text: str) -> str:
    """Return the part of a user agent that a store keeps."""
    return _printable(text[:_MAX_USER_AGENT])


def stored_address(text: str) -> str:
    """Return the part of an address that a store keeps."""
    return _printable(text[:_MAX_ADDRESS])


def _printable(text: str) -> str:
    # Clients can send any character; terminals and databases do not accept all of them.
    return "".join(character if character.isprintable() else "?" for character in text)


def _new_token(handle: str) -> RefreshToken:
    text = f"{REFRESH_PREFIX}{handle}{token_urlsafe(_SECRET_BYTES)}"
    return RefreshToken(text, _session_id(handle), _digest(text))


def _digest(text: str) -> str:
    # A fast digest is enough: unlike a password, 256 random bits cannot be guessed.
    return sha256(text.encode()).hexdigest()


def _session_id(handle: str) -> str:
    return urlsafe_b64encode(sha256(handle.encode()).digest()[:_HANDLE_BYTES]).rstrip(b"=").decode()
