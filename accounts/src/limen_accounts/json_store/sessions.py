"""Sessions in a document."""

from dataclasses import fields, replace
from datetime import datetime

from limen_accounts.accounts import AccountMissing
from limen_accounts.json_store.document import Document, StoredSession
from limen_accounts.sessions import (
    EndedSession,
    NewSession,
    RefreshedSession,
    RefreshToken,
    Session,
    SessionLimits,
    stored_address,
    stored_user_agent,
)


def begin(
    document: Document,
    account_id: int,
    token: RefreshToken,
    limits: SessionLimits,
    now: datetime,
    *,
    user_agent: str,
    address: str,
    hashed_password: str | None,
    user_type: str | None,
) -> tuple[Document, NewSession]:
    """Remove expired sessions and those above the limit, and append; raises AccountMissing."""
    account = document.account(account_id)
    if (
        account is None
        or account.locked_at is not None
        or hashed_password not in (None, account.hashed_password)
        or user_type not in (None, account.user_type)
    ):
        raise AccountMissing
    alive = [s for s in document.sessions if now < s.expires_at]
    of_account = sorted((s for s in alive if s.account_id == account_id), key=_last_used, reverse=True)
    excess_ids = {s.id for s in of_account[limits.max_sessions - 1 :]}
    session = StoredSession(
        id=token.session_id,
        account_id=account_id,
        digest=token.digest,
        digest_before=None,
        user_agent=stored_user_agent(user_agent),
        address=stored_address(address),
        created_at=now,
        last_used_at=now,
        expires_at=limits.expiry(now, now),
    )
    sessions = [*(s for s in alive if s.id not in excess_ids), session]
    return replace(document, sessions=sessions), NewSession(session.id, token.text, session.expires_at)


def refresh(
    document: Document, token: RefreshToken, next_token: RefreshToken, limits: SessionLimits, now: datetime
) -> tuple[Document, RefreshedSession | EndedSession | None]:
    """Compare and set the digest of the session's token."""
    session = of_token(document, token)
    account = None if session is None else document.account(session.account_id)
    if session is None or account is None:
        return document, None
    current = session.digest == token.digest
    in_grace = session.digest_before == token.digest and now < session.last_used_at + limits.refresh_grace
    if session.expires_at <= now or not (current or in_grace):
        return _end(document, session, now)
    refreshed = replace(
        session,
        digest=next_token.digest,
        digest_before=token.digest if current else None,
        last_used_at=now,
        expires_at=limits.expiry(session.created_at, now),
    )
    return (
        replace(document, sessions=[refreshed if s is session else s for s in document.sessions]),
        RefreshedSession(session.id, next_token.text, refreshed.expires_at, account),
    )


def listed(document: Document, account_id: int, now: datetime) -> list[Session]:
    """Return the sessions of an account that have not expired, the last used first."""
    of_account = [s for s in document.sessions if s.account_id == account_id and now < s.expires_at]
    return [_without_digest(s) for s in sorted(of_account, key=_last_used, reverse=True)]


def end(document: Document, account_id: int, session_id: str, now: datetime) -> tuple[Document, bool]:
    """Remove the session; an expired one does not count."""
    session = next((s for s in document.sessions if (s.id, s.account_id) == (session_id, account_id)), None)
    if session is None:
        return document, False
    after, ended = _end(document, session, now)
    return after, ended is not None


def end_of_token(document: Document, token: RefreshToken, now: datetime) -> tuple[Document, EndedSession | None]:
    """Remove the session of the token's handle."""
    session = of_token(document, token)
    return (document, None) if session is None else _end(document, session, now)


def of_token(document: Document, token: RefreshToken) -> StoredSession | None:
    """Return the session of the token's handle."""
    return next((s for s in document.sessions if s.id == token.session_id), None)


def _end(document: Document, session: StoredSession, now: datetime) -> tuple[Document, EndedSession | None]:
    after = replace(document, sessions=[s for s in document.sessions if s is not session])
    return after, EndedSession(session.id, session.account_id) if now < session.expires_at else None


def _without_digest(stored: StoredSession) -> Session:
    return Session(**{field.name: getattr(stored, field.name) for field in fields(Session)})


def _last_used(session: Session) -> datetime:
    return session.last_used_at
