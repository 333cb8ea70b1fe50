"""Sessions in the JSON file."""

from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path

from shop_users.json_file import Document, JsonFile, StoredSession
from shop_users.json_store import without_sessions
from shop_users.sessions import (
    Begun,
    Clock,
    Ended,
    Gone,
    Refreshed,
    Rules,
    Session,
    Token,
    kept_address,
    kept_agent,
    wall_clock,
)


class JsonSessions:
    """``Sessions`` in the file ``path``."""

    def __init__(self, path: Path, rules: Rules, now: Clock = wall_clock) -> None:
        """Open nothing yet."""
        self._file = JsonFile(path)
        self._rules = rules
        self._now = now

    async def begin(
        self, account_id: int, *, user_agent: str, address: str, hashed_password: str | None = None
    ) -> Begun:
        """Leave out what is over, or too many, and append."""
        token = Token.first()

        def change(document: Document) -> tuple[Document, Begun]:
            account = next((a for a in document.users if a.id == account_id), None)
            if account is None or hashed_password not in (None, account.hashed_password):
                raise Gone
            now = self._now()
            alive = [s for s in document.sessions if now < s.expires_at]
            mine = sorted((s for s in alive if s.account_id == account_id), key=_last_used, reverse=True)
            surplus = {s.id for s in mine[self._rules.most - 1 :]}
            begun = StoredSession(
                id=token.session_id,
                account_id=account_id,
                digest=token.digest,
                digest_before=None,
                user_agent=kept_agent(user_agent),
                address=kept_address(address),
                created_at=now,
                last_used_at=now,
                expires_at=self._rules.end(now, now),
            )
            sessions = [*(s for s in alive if s.id not in surplus), begun]
            return replace(document, sessions=sessions), Begun(begun.id, token.text, begun.expires_at)

        return await self._file.write(change)

    async def refresh(self, token: Token) -> Refreshed | Ended | None:
        """Compare and set, under the lock; a token of no session does not wait for it."""
        if _found(await self._file.read(), token) is None:
            return None
        fresh = token.next()

        def change(document: Document) -> tuple[Document, Refreshed | Ended | None]:
            found = _found(document, token)
            account = None if found is None else next((a for a in document.users if a.id == found.account_id), None)
            if found is None or account is None:
                return document, None
            now = self._now()
            current = found.digest == token.digest
            again = found.digest_before == token.digest and now < found.last_used_at + self._rules.grace
            if found.expires_at <= now or not (current or again):
                return _without(document, found, now)
            follows = replace(
                found,
                digest=fresh.digest,
                digest_before=token.digest if current else None,
                last_used_at=now,
                expires_at=self._rules.end(found.created_at, now),
            )
            return (
                replace(document, sessions=[follows if s is found else s for s in document.sessions]),
                Refreshed(found.id, fresh.text, follows.expires_at, account),
            )

        return await self._file.write(change)

    async def of(self, account_id: int) -> list[Session]:
        """Return those that are not over."""
        now = self._now()
        mine = [s for s in (await self._file.read()).sessions if s.account_id == account_id and now < s.expires_at]
        return [_told(s) for s in sorted(mine, key=_last_used, reverse=True)]

    async def end(self, account_id: int, session_id: str) -> bool:
        """Leave the session out; one that is over is none."""

        def change(document: Document) -> tuple[Document, bool]:
            found = next((s for s in document.sessions if (s.id, s.account_id) == (session_id, account_id)), None)
            if found is None:
                return document, False
            after, ended = _without(document, found, self._now())
            return after, ended is not None

        return await self._file.write(change)

    async def end_all(self, account_id: int) -> list[str]:
        """Leave them all out."""
        return await self._file.write(lambda document: without_sessions(document, account_id))

    async def end_by(self, token: Token) -> Ended | None:
        """Leave out the session of the token's handle."""
        if _found(await self._file.read(), token) is None:
            return None

        def change(document: Document) -> tuple[Document, Ended | None]:
            found = _found(document, token)
            return (document, None) if found is None else _without(document, found, self._now())

        return await self._file.write(change)


def _found(document: Document, token: Token) -> StoredSession | None:
    return next((s for s in document.sessions if s.id == token.session_id), None)


def _without(document: Document, session: StoredSession, now: datetime) -> tuple[Document, Ended | None]:
    after = replace(document, sessions=[s for s in document.sessions if s is not session])
    return after, Ended(session.id, session.account_id) if now < session.expires_at else None


def _told(stored: StoredSession) -> Session:
    return Session(**{each.name: getattr(stored, each.name) for each in fields(Session)})


def _last_used(session: Session) -> datetime:
    return session.last_used_at
