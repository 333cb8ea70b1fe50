"""Sessions in the JSON file."""

from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path

from limen_accounts.json_accounts import without_sessions
from limen_accounts.json_file import Document, JsonFile, StoredSession
from limen_accounts.sessions import (
    AccountMissing,
    Clock,
    EndedSession,
    NewSession,
    RefreshedSession,
    RefreshToken,
    Session,
    SessionLimits,
    stored_address,
    stored_user_agent,
    wall_clock,
)


class JsonSessionStore:
    """A ``SessionStore`` in the file ``path``."""

    def __init__(self, path: Path, limits: SessionLimits, now: Clock = wall_clock) -> None:
        """Open nothing yet."""
        self._file = JsonFile(path)
        self._limits = limits
        self._now = now

    async def begin(
        self, account_id: int, *, user_agent: str, address: str, hashed_password: str | None = None
    ) -> NewSession:
        """Remove expired sessions and those above the limit, and append."""
        token = RefreshToken.of_new_session()

        def change(document: Document) -> tuple[Document, NewSession]:
            account = next((a for a in document.users if a.id == account_id), None)
            if account is None or hashed_password not in (None, account.hashed_password):
                raise AccountMissing
            now = self._now()
            alive = [s for s in document.sessions if now < s.expires_at]
            of_account = sorted((s for s in alive if s.account_id == account_id), key=_last_used, reverse=True)
            excess_ids = {s.id for s in of_account[self._limits.max_sessions - 1 :]}
            session = StoredSession(
                id=token.session_id,
                account_id=account_id,
                digest=token.digest,
                digest_before=None,
                user_agent=stored_user_agent(user_agent),
                address=stored_address(address),
                created_at=now,
                last_used_at=now,
                expires_at=self._limits.expiry(now, now),
            )
            sessions = [*(s for s in alive if s.id not in excess_ids), session]
            return replace(document, sessions=sessions), NewSession(session.id, token.text, session.expires_at)

        return await self._file.write(change)

    async def refresh(self, token: RefreshToken) -> RefreshedSession | EndedSession | None:
        """Compare and set, under the lock; a token of no session is refused without waiting for the lock."""
        if _session_of(await self._file.read(), token) is None:
            return None
        next_token = token.successor()

        def change(document: Document) -> tuple[Document, RefreshedSession | EndedSession | None]:
            session = _session_of(document, token)
            account = None if session is None else next((a for a in document.users if a.id == session.account_id), None)
            if session is None or account is None:
                return document, None
            now = self._now()
            current = session.digest == token.digest
            in_grace = session.digest_before == token.digest and now < session.last_used_at + self._limits.refresh_grace
            if session.expires_at <= now or not (current or in_grace):
                return _end(document, session, now)
            refreshed = replace(
                session,
                digest=next_token.digest,
                digest_before=token.digest if current else None,
                last_used_at=now,
                expires_at=self._limits.expiry(session.created_at, now),
            )
            return (
                replace(document, sessions=[refreshed if s is session else s for s in document.sessions]),
                RefreshedSession(session.id, next_token.text, refreshed.expires_at, account),
            )

        return await self._file.write(change)

    async def list_for(self, account_id: int) -> list[Session]:
        """Filter by the account, without expired sessions."""
        now = self._now()
        of_account = [
            s for s in (await self._file.read()).sessions if s.account_id == account_id and now < s.expires_at
        ]
        return [_without_digest(s) for s in sorted(of_account, key=_last_used, reverse=True)]

    async def end(self, account_id: int, session_id: str) -> bool:
        """Remove the session; an expired one does not count."""

        def change(document: Document) -> tuple[Document, bool]:
            session = next((s for s in document.sessions if (s.id, s.account_id) == (session_id, account_id)), None)
            if session is None:
                return document, False
            after, ended = _end(document, session, self._now())
            return after, ended is not None

        return await self._file.write(change)

    async def end_all(self, account_id: int) -> list[str]:
        """Remove all of the account."""
        return await self._file.write(lambda document: without_sessions(document, account_id))

    async def end_by_token(self, token: RefreshToken) -> EndedSession | None:
        """Remove the session of the token's handle."""
        if _session_of(await self._file.read(), token) is None:
            return None

        def change(document: Document) -> tuple[Document, EndedSession | None]:
            session = _session_of(document, token)
            return (document, None) if session is None else _end(document, session, self._now())

        return await self._file.write(change)


def _session_of(document: Document, token: RefreshToken) -> StoredSession | None:
    return next((s for s in document.sessions if s.id == token.session_id), None)


def _end(document: Document, session: StoredSession, now: datetime) -> tuple[Document, EndedSession | None]:
    after = replace(document, sessions=[s for s in document.sessions if s is not session])
    return after, EndedSession(session.id, session.account_id) if now < session.expires_at else None


def _without_digest(stored: StoredSession) -> Session:
    return Session(**{field.name: getattr(stored, field.name) for field in fields(Session)})


def _last_used(session: Session) -> datetime:
    return session.last_used_at
