"""Sessions in a database, with Tortoise.

No deadlocks: a transaction that inserts a row, or deletes several, locks the account's row first, and rows of other accounts
last and without waiting.
"""

from collections.abc import Sequence

from tortoise.transactions import in_transaction

from limen_accounts.accounts import AccountMissing
from limen_accounts.clock import Clock, wall_clock
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
from limen_accounts.tortoise_stores.accounts import account_of, end_sessions, lock_row
from limen_accounts.tortoise_stores.models import AccountRow, SessionRow

# Expired sessions that one login deletes: more than it adds, and few enough to cost little.
_MAX_SWEPT = 20

# A LIMIT for the sessions above a user's maximum, which are one at a time; SQLite has no OFFSET without it.
_EXCESS = 1000


class TortoiseSessionStore:
    """A ``SessionStore`` in the database that Tortoise has opened."""

    def __init__(self, limits: SessionLimits, now: Clock = wall_clock) -> None:
        """Keep to ``limits``."""
        self._limits = limits
        self._now = now

    async def begin_session(
        self,
        account_id: int,
        *,
        user_agent: str,
        address: str,
        hashed_password: str | None = None,
        user_type: str | None = None,
    ) -> NewSession:
        """Lock the account, delete the sessions above the limit, insert, and delete some expired ones."""
        token = RefreshToken.of_new_session()
        async with in_transaction():
            known = {"hashed_password": hashed_password, "user_type": user_type}
            having = {column: value for column, value in known.items() if value is not None}
            await lock_row(account_id, locked_at=None, **having)
            now = self._now()
            others = SessionRow.filter(account_id=account_id).order_by("-last_used_at", "id")
            await _delete(await others.offset(self._limits.max_sessions - 1).limit(_EXCESS).only("id"))
            row = await SessionRow.create(
                id=token.session_id,
                account_id=account_id,
                digest=token.digest,
                user_agent=stored_user_agent(user_agent),
                address=stored_address(address),
                created_at=now,
                last_used_at=now,
                expires_at=self._limits.expiry(now, now),
            )
            expired = SessionRow.filter(expires_at__lte=now).order_by("expires_at").limit(_MAX_SWEPT)
            await _delete(await expired.select_for_update(skip_locked=True).only("id"))
        return NewSession(row.id, token.text, row.expires_at)

    async def refresh_session(self, token: RefreshToken) -> RefreshedSession | EndedSession | None:
        """Compare and set, in one statement: of several calls with one token, only one finds it current."""
        row = await SessionRow.get_or_none(id=token.session_id)
        if row is None:
            return None
        now = self._now()
        next_token = token.successor()
        expires_at = self._limits.expiry(row.created_at, now)
        not_expired = SessionRow.filter(id=row.id, expires_at__gt=now)
        updated = await not_expired.filter(digest=token.digest).update(
            digest=next_token.digest, digest_before=token.digest, last_used_at=now, expires_at=expires_at
        )
        if not updated and self._limits.refresh_grace:
            in_grace = not_expired.filter(digest_before=token.digest, last_used_at__gt=now - self._limits.refresh_grace)
            updated = await in_grace.update(
                digest=next_token.digest, digest_before=None, last_used_at=now, expires_at=expires_at
            )
        if not updated:
            return await self.end_session_of(token)
        account = await AccountRow.get_or_none(id=row.account_id)
        return None if account is None else RefreshedSession(row.id, next_token.text, expires_at, account_of(account))

    async def list_sessions(self, account_id: int) -> list[Session]:
        """Filter by the account, without expired sessions."""
        rows = SessionRow.filter(account_id=account_id, expires_at__gt=self._now())
        return [_session(row) for row in await rows.order_by("-last_used_at", "id")]

    async def end_session(self, account_id: int, session_id: str) -> bool:
        """Delete the row; an expired one does not count."""
        rows = SessionRow.filter(id=session_id, account_id=account_id, expires_at__gt=self._now())
        return bool(await rows.delete())

    async def end_sessions(self, account_id: int) -> list[str]:
        """Delete the rows."""
        async with in_transaction():
            try:
                await lock_row(account_id)
            except AccountMissing:
                return []
            return await end_sessions(account_id)

    async def end_session_of(self, token: RefreshToken) -> EndedSession | None:
        """Delete the row of the token's handle."""
        row = await SessionRow.get_or_none(id=token.session_id)
        if row is None or not await SessionRow.filter(id=row.id).delete() or row.expires_at <= self._now():
            return None
        return EndedSession(row.id, row.account_id)


async def _delete(rows: Sequence[SessionRow]) -> None:
    # Most logins have nothing to delete, and a statement that deletes nothing costs as much as one that does.
    if rows:
        await SessionRow.filter(id__in=[row.id for row in rows]).delete()


def _session(row: SessionRow) -> Session:
    return Session(
        id=row.id,
        account_id=row.account_id,
        user_agent=row.user_agent,
        address=row.address,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
    )
