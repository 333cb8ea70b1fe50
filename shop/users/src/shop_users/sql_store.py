"""Accounts in a database of Tortoise's."""

from dataclasses import asdict
from typing import cast

from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q

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
        fields = asdict(new)
        try:
            row = User(**fields, **keys(fields))
            await row.save(force_create=True)
        except IntegrityError as error:
            raise await _taken(keys(fields), 0) from error
        return _account(row)

    async def update(self, number: int, changes: Changes) -> Account | None:
        """Update the named columns only."""
        if changes:
            try:
                await User.filter(id=number).update(**changes, **keys(changes))
            except IntegrityError as error:
                raise await _taken(keys(changes), number) from error
        return await self.get(number)

    async def delete(self, number: int) -> bool:
        """Delete the row."""
        return bool(await User.filter(id=number).delete())

    async def ready(self) -> None:
        """Ask the database."""
        await database.check()


async def _taken(wanted: dict[str, str | None], number: int) -> Taken:
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
