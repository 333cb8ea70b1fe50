"""Sessions in a database of Tortoise's.

A transaction that begins something, or ends more than one thing, locks the account's row first, and what belongs to other
accounts last and without waiting: so no two of them wait for one another.
"""

from collections.abc import Sequence

from tortoise.transactions import in_transaction

from shop_users.models import SessionRow, User
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
from shop_users.sql_store import account_of, end_sessions, lock

# Sessions that are over, and go with one login: more than it adds, and few enough not to be felt.
_SWEPT = 20

# Sessions of one user beyond the most, of which there is one at a time: a number only because SQLite asks for one.
_EXCESS = 1000


class SqlSessions:
    """``Sessions`` in the database that Tortoise has open."""

    def __init__(self, rules: Rules, now: Clock = wall_clock) -> None:
        """Keep to ``rules``."""
        self._rules = rules
        self._now = now

    async def begin(
        self, account_id: int, *, user_agent: str, address: str, hashed_password: str | None = None
    ) -> Begun:
        """Lock the account, make room, insert, and sweep."""
        token = Token.first()
        async with in_transaction():
            await lock(account_id, hashed_password)
            now = self._now()
            kept = SessionRow.filter(account_id=account_id).order_by("-last_used_at", "id")
            await _delete(await kept.offset(self._rules.most - 1).limit(_EXCESS).only("id"))
            row = await SessionRow.create(
                id=token.session_id,
                account_id=account_id,
                digest=token.digest,
                user_agent=kept_agent(user_agent),
                address=kept_address(address),
                created_at=now,
                last_used_at=now,
                expires_at=self._rules.end(now, now),
            )
            over = SessionRow.filter(expires_at__lte=now).order_by("expires_at").limit(_SWEPT)
            await _delete(await over.select_for_update(skip_locked=True).only("id"))
        return Begun(row.id, token.text, row.expires_at)

    async def refresh(self, token: Token) -> Refreshed | Ended | None:
        """Compare and set, in one statement: of many that come with one token, one finds it current."""
        row = await SessionRow.get_or_none(id=token.session_id)
        if row is None:
            return None
        now = self._now()
        fresh = token.next()
        end = self._rules.end(row.created_at, now)
        alive = SessionRow.filter(id=row.id, expires_at__gt=now)
        done = await alive.filter(digest=token.digest).update(
            digest=fresh.digest, digest_before=token.digest, last_used_at=now, expires_at=end
        )
        if not done and self._rules.grace:
            again = alive.filter(digest_before=token.digest, last_used_at__gt=now - self._rules.grace)
            done = await again.update(digest=fresh.digest, digest_before=None, last_used_at=now, expires_at=end)
        if not done:
            return await self.end_by(token)
        account = await User.get_or_none(id=row.account_id)
        return None if account is None else Refreshed(row.id, fresh.text, end, account_of(account))

    async def of(self, account_id: int) -> list[Session]:
        """Return those that are not over."""
        rows = SessionRow.filter(account_id=account_id, expires_at__gt=self._now())
        return [_session(row) for row in await rows.order_by("-last_used_at", "id")]

    async def end(self, account_id: int, session_id: str) -> bool:
        """Delete the row; one that is over is none."""
        rows = SessionRow.filter(id=session_id, account_id=account_id, expires_at__gt=self._now())
        return bool(await rows.delete())

    async def end_all(self, account_id: int) -> list[str]:
        """Delete the rows."""
        async with in_transaction():
            try:
                await lock(account_id)
            except Gone:
                return []
            return await end_sessions(account_id)

    async def end_by(self, token: Token) -> Ended | None:
        """Delete the row of the token's handle."""
        row = await SessionRow.get_or_none(id=token.session_id)
        if row is None or not await SessionRow.filter(id=row.id).delete() or row.expires_at <= self._now():
            return None
        return Ended(row.id, row.account_id)


async def _delete(rows: Sequence[SessionRow]) -> None:
    # At most logins there is nothing to delete, and finding nothing by a statement takes as long as finding something.
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
