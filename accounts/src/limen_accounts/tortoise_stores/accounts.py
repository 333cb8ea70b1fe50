"""Accounts in a database, with Tortoise; and the functions that the stores of sessions and keys share with it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tortoise.exceptions import IntegrityError
from tortoise.expressions import F, Q
from tortoise.transactions import in_transaction

from limen_accounts.accounts import (
    Account,
    AccountMissing,
    Changes,
    NewAccount,
    UsernameOrEmailTaken,
    VersionChanged,
    deletion_event,
    former_username_key,
    unique_keys,
    username_key,
)
from limen_accounts.clock import Clock, wall_clock
from limen_accounts.tortoise_stores.models import AccountRow, EventRow, SessionRow
from limen_kit import database


class TortoiseAccountStore:
    """An ``AccountStore`` in the database that Tortoise has opened. With ``events``, deletions are stored as events."""

    def __init__(self, *, events: bool = False, now: Clock = wall_clock) -> None:
        """Take the time of events from ``now``."""
        self._events = events
        self._now = now

    async def list_accounts(self, *, q: str | None, limit: int, offset: int) -> tuple[list[Account], int]:
        """Return a page and the count."""
        rows = AccountRow.all()
        if q:
            rows = rows.filter(Q(username__icontains=q) | Q(email__icontains=q) | Q(full_name__icontains=q))
        page = await rows.order_by("id").offset(offset).limit(limit)
        return [account_of(row) for row in page], await rows.count()

    async def get_account(self, number: int) -> Account | None:
        """Return the account with this id."""
        row = await AccountRow.get_or_none(id=number)
        return None if row is None else account_of(row)

    async def get_account_by_username(self, username: str) -> Account | None:
        """Return the account with this username."""
        former = former_username_key(username)
        rows = await AccountRow.filter(username_key__in=[former, username_key(username)])
        found = sorted(rows, key=lambda row: row.username_key != former)
        return account_of(found[0]) if found else None

    async def create_account(self, new: NewAccount) -> Account:
        """Insert; the database enforces uniqueness."""
        row = _row(new)
        try:
            await row.save(force_create=True)
        except IntegrityError as error:
            raise await _conflicting_field(unique_keys(asdict(new)), 0) from error
        return account_of(row)

    async def update_account(
        self, number: int, changes: Changes, version: int | None = None
    ) -> tuple[Account, list[str]] | None:
        """Lock the row, compare the version, update only the named columns, and delete the sessions."""
        try:
            async with in_transaction():
                try:
                    await lock_row(number)
                except AccountMissing:
                    return None
                before = await AccountRow.get(id=number)
                if version not in (None, before.version):
                    raise VersionChanged
                if changes:
                    await AccountRow.filter(id=number).update(
                        **changes, **unique_keys(changes), version=before.version + 1
                    )
                ended = (
                    [] if changes.get("user_type", before.user_type) == before.user_type else await end_sessions(number)
                )
                return account_of(await AccountRow.get(id=number)), ended
        except IntegrityError as error:
            # After the transaction: PostgreSQL answers nothing more in one that has failed.
            raise await _conflicting_field(unique_keys(changes), number) from error

    async def replace_hash(self, number: int, before: str, after: str) -> bool:
        """Compare and set, in one statement."""
        return bool(await AccountRow.filter(id=number, hashed_password=before).update(hashed_password=after))

    async def change_password(self, number: int, before: str, after: str) -> list[str] | None:
        """Compare and set; the row stays locked until the sessions are deleted."""
        async with in_transaction():
            if not await self.replace_hash(number, before, after):
                return None
            return await end_sessions(number)

    async def lock_account(self, number: int) -> list[str] | None:
        """Set the column, which locks the row until the sessions are deleted."""
        async with in_transaction():
            await AccountRow.filter(id=number, locked_at=None).update(locked_at=self._now(), version=F("version") + 1)
            try:
                await lock_row(number)
            except AccountMissing:
                return None
            return await end_sessions(number)

    async def unlock_account(self, number: int) -> bool:
        """Clear the column, where it is set."""
        await AccountRow.filter(id=number, locked_at__isnull=False).update(locked_at=None, version=F("version") + 1)
        return await AccountRow.exists(id=number)

    async def create_first_accounts(self, new: Sequence[NewAccount]) -> bool:
        """Check and insert with the table locked: a conflict would consume ids on PostgreSQL, and these must be 1, 2, 3."""
        async with in_transaction() as transaction:
            if transaction.capabilities.dialect == "postgres":
                connection: Any = transaction  # Tortoise types its parameters as a bare list
                await connection.execute_query(f"LOCK TABLE {AccountRow.Meta.table} IN EXCLUSIVE MODE")
            else:
                # SQLite locks at the first write, even if it changes nothing.
                await AccountRow.filter(id=0).delete()
            if await AccountRow.exists():
                return False
            for account in new:
                await _row(account).save(force_create=True)
            return True

    async def delete_account(self, number: int, version: int | None = None) -> list[str] | None:
        """Delete the row, and insert the event; foreign keys delete the rows that refer to it."""
        async with in_transaction():
            try:
                await lock_row(number)
            except AccountMissing:
                return None
            if version is not None and not await AccountRow.exists(id=number, version=version):
                raise VersionChanged
            ended = await end_sessions(number)
            await AccountRow.filter(id=number).delete()
            if self._events:
                event = deletion_event(number, self._now())
                await EventRow.create(id=event.id, type=event.type, data=event.data, created_at=event.created_at)
            return ended

    async def ready(self) -> None:
        """Ask the database."""
        await database.check()


async def lock_row(number: int, **having: str | None) -> None:
    """Lock the row of an account until the transaction ends; raises AccountMissing if there is none ``having`` these values.

    It is a write that changes nothing: SQLite has no row locks, and a transaction there that reads before it writes fails
    when another process has written in between.
    """
    if not await AccountRow.filter(id=number, **having).update(created_by=F("created_by")):
        raise AccountMissing


async def end_sessions(number: int) -> list[str]:
    """Delete the sessions of an account whose row is locked, and return their ids."""
    rows = await SessionRow.filter(account_id=number).order_by("id").only("id")
    await SessionRow.filter(account_id=number).delete()
    return [row.id for row in rows]


def _row(new: NewAccount) -> AccountRow:
    fields = asdict(new)
    return AccountRow(**fields, **unique_keys(fields))


async def _conflicting_field(wanted_keys: dict[str, str | None], number: int) -> UsernameOrEmailTaken:
    if wanted_keys.get("email_key") is None:
        return UsernameOrEmailTaken("username")
    # The other account may be gone by now; then the email is named, and the next attempt will work.
    key = wanted_keys.get("username_key")
    clash = key is not None and await AccountRow.filter(username_key=key).exclude(id=number).exists()
    return UsernameOrEmailTaken("username" if clash else "email")


def account_of(row: AccountRow) -> Account:
    """Return the account in a row."""
    return Account(
        id=row.id,
        username=row.username,
        email=row.email,
        full_name=row.full_name,
        user_type=row.user_type,
        hashed_password=row.hashed_password,
        created_by=row.created_by,
        created_at=row.created_at,
        version=row.version,
        locked_at=row.locked_at,
    )
