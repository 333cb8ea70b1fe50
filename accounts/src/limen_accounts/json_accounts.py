"""Accounts in the JSON file."""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path

from limen_accounts.accounts import Account, Changes, NewAccount, UsernameOrEmailTaken, email_key, username_key
from limen_accounts.json_file import Document, JsonFile


class JsonAccountStore:
    """An ``AccountStore`` in the file ``path``."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._file = JsonFile(path)

    async def page(self, *, q: str | None, limit: int, offset: int) -> tuple[list[Account], int]:
        """Return a page and the count."""
        matching = (await self._file.read()).users
        if q:
            text_sought = q.casefold()
            matching = [
                a for a in matching if any(text_sought in (text or "").casefold() for text in _searched_fields(a))
            ]
        return matching[offset : offset + limit], len(matching)

    async def get(self, number: int) -> Account | None:
        """Return the account with this id."""
        return next((a for a in (await self._file.read()).users if a.id == number), None)

    async def by_username(self, username: str) -> Account | None:
        """Return the account with this username."""
        key = username_key(username)
        return next((a for a in (await self._file.read()).users if username_key(a.username) == key), None)

    async def create(self, new: NewAccount) -> Account:
        """Append an account."""

        def change(document: Document) -> tuple[Document, Account]:
            after = _with_account(document, new)
            return after, after.users[-1]

        return await self._file.write(change)

    async def update(self, number: int, changes: Changes) -> Account | None:
        """Replace an account."""

        def change(document: Document) -> tuple[Document, Account | None]:
            before = next((a for a in document.users if a.id == number), None)
            if before is None:
                return document, None
            account = replace(before, **changes)
            _check_unique(document.users, account)
            users = [account if a.id == number else a for a in document.users]
            return replace(document, users=users), account

        return await self._file.write(change)

    async def rehash(self, number: int, before: str, after: str) -> bool:
        """Compare and set, under the lock."""

        def change(document: Document) -> tuple[Document, bool]:
            changed = _with_hash(document, number, before, after)
            return changed or document, changed is not None

        return await self._file.write(change)

    async def change_password(self, number: int, before: str, after: str) -> list[str] | None:
        """Compare and set, and remove the sessions."""

        def change(document: Document) -> tuple[Document, list[str] | None]:
            changed = _with_hash(document, number, before, after)
            return (document, None) if changed is None else without_sessions(changed, number)

        return await self._file.write(change)

    async def fill(self, accounts: Sequence[NewAccount]) -> bool:
        """Append to an empty list."""

        def change(document: Document) -> tuple[Document, bool]:
            if document.users:
                return document, False
            return reduce(_with_account, accounts, document), True

        return await self._file.write(change)

    async def delete(self, number: int) -> list[str] | None:
        """Remove an account with its sessions and keys."""

        def change(document: Document) -> tuple[Document, list[str] | None]:
            users = [a for a in document.users if a.id != number]
            if len(users) == len(document.users):
                return document, None
            api_keys = [key for key in document.api_keys if key.owner != number]
            return without_sessions(replace(document, users=users, api_keys=api_keys), number)

        return await self._file.write(change)

    async def ready(self) -> None:
        """Read the file, and check that its folder is writable."""
        await self._file.read()
        folder = self._file.path.absolute().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ValueError(f"{folder} is no folder that users can be kept in: make it, or change DATABASE_URL")


def without_sessions(document: Document, number: int) -> tuple[Document, list[str]]:
    """Return ``document`` without the sessions of an account, and their ids."""
    ended = [session.id for session in document.sessions if session.account_id == number]
    return replace(document, sessions=[s for s in document.sessions if s.account_id != number]), ended


def _with_hash(document: Document, number: int, before: str, after: str) -> Document | None:
    account = next((a for a in document.users if (a.id, a.hashed_password) == (number, before)), None)
    if account is None:
        return None
    changed = replace(account, hashed_password=after)
    return replace(document, users=[changed if a is account else a for a in document.users])


def _searched_fields(account: Account) -> tuple[str | None, ...]:
    return account.username, account.email, account.full_name


def _with_account(document: Document, new: NewAccount) -> Document:
    account = Account(**asdict(new), id=document.next_id, created_at=datetime.now(UTC))
    _check_unique(document.users, account)
    return replace(document, next_id=account.id + 1, users=[*document.users, account])


def _check_unique(users: list[Account], account: Account) -> None:
    others = [a for a in users if a.id != account.id]
    if any(username_key(a.username) == username_key(account.username) for a in others):
        raise UsernameOrEmailTaken("username")
    if account.email is not None and any(email_key(a.email) == email_key(account.email) for a in others):
        raise UsernameOrEmailTaken("email")
