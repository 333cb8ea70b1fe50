"""Accounts in a database of Tortoise's."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q
from tortoise.transactions import in_transaction

from limen_kit import database
from shop_users.accounts import Account, Changes, NewAccount, Taken, UserType, keys, username_key
from shop_users.models import User


class SqlStore:
    """A ``Store`` on the database that Tortoise has open."""

    async def page(self, *, q: str | None, limit: int, offset: int) -> tuple[list[Account], int]:
        """Return a page and the count."""
        rows = User.all()
        if q:
            rows = rows.filter(Q(username__icontains=q) | Q(email__icontains=q) | Q(full_name__icontains=q))
        found = await rows.order_by("id").offset(offset).limit(limit)
        return [_account(row) for row in found], await rows.count()

    async def get(self, number: int) -> Account | None:
        """Return the account with this id."""
        row = await User.get_or_none(id=number)
        return None if row is None else _account(row)

    async def named(self, username: str) -> Account | None:
        """Return the account with this username."""
        row = await User.get_or_none(username_key=username_key(username))
        return None if row is None else _account(row)

    async def create(self, new: NewAccount) -> Account:
        """Insert; the database decides who comes first."""
        row = _row(new)
        try:
            await row.save(force_create=True)
        except IntegrityError as error:
            raise await _taken(keys(asdict(new)), 0) from error
        return _account(row)

    async def update(self, number: int, changes: Changes) -> Account | None:
        """Update the named columns only."""
        if changes:
            try:
                await User.filter(id=number).update(**changes, **keys(changes))
            except IntegrityError as error:
                raise await _taken(keys(changes), number) from error
        return await self.get(number)

    async def rehash(self, number: int, before: str, after: str) -> bool:
        """Compare and set, in one statement."""
        return bool(await User.filter(id=number, hashed_password=before).update(hashed_password=after))

    async def fill(self, accounts: Sequence[NewAccount]) -> bool:
        """Look and insert with the table locked: a clash would burn ids on PostgreSQL, and these have to be 1, 2, 3."""
        async with in_transaction() as transaction:
            if transaction.capabilities.dialect == "postgres":
                connection: Any = transaction  # Tortoise types its parameters as a bare list
                await connection.execute_query(f"LOCK TABLE {User.Meta.table} IN EXCLUSIVE MODE")
            else:
                # SQLite locks at the first write, even one that changes nothing.
                await User.filter(id=0).delete()
            if await User.exists():
                return False
            for new in accounts:
                await _row(new).save(force_create=True)
            return True

    async def delete(self, number: int) -> bool:
        """Delete the row."""
        return bool(await User.filter(id=number).delete())

    async def ready(self) -> None:
        """Ask the database."""
        await database.check()


def _row(new: NewAccount) -> User:
    fields = asdict(new)
    return User(**fields, **keys(fields))


async def _taken(wanted: dict[str, str | None], number: int) -> Taken:
    if wanted.get("email_key") is None:
        return Taken("username")
    # The clash may be gone by now; then it is told as one of emails, and the next attempt will work.
    key = wanted.get("username_key")
    clash = key is not None and await User.filter(username_key=key).exclude(id=number).exists()
    return Taken("username" if clash else "email")


def _account(row: User) -> Account:
    return Account(
        id=row.id,
        username=row.username,
        email=row.email,
        full_name=row.full_name,
        user_type=cast("UserType", row.user_type),
        hashed_password=row.hashed_password,
        created_by=row.created_by,
        created_at=row.created_at,
    )
