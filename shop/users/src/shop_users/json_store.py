"""Accounts in one JSON file, for a shop without a database.

Writers of all processes take turns by a lock on a file beside it, and replace the file whole, so that a reader or a crash
never meets half of it. Reads need no lock.
"""

import fcntl
import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import TypeVar

from anyio import to_thread
from pydantic import TypeAdapter, ValidationError

from shop_users.accounts import Account, Changes, NewAccount, Taken, email_key, username_key

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Document:
    """What the file holds. Ids are never used twice: an old token must not become another's."""

    next_id: int = 1
    users: list[Account] = field(default_factory=list[Account])


_DOCUMENT: TypeAdapter[_Document] = TypeAdapter(_Document)


class JsonStore:
    """A ``Store`` in the file ``path``, which is made at the first write."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path

    async def page(self, *, q: str | None, limit: int, offset: int) -> tuple[list[Account], int]:
        """Return a page and the count."""
        found = (await self._read()).users
        if q:
            wanted = q.casefold()
            found = [a for a in found if any(wanted in (text or "").casefold() for text in _searched(a))]
        return found[offset : offset + limit], len(found)

    async def get(self, number: int) -> Account | None:
        """Return the account with this id."""
        return next((a for a in (await self._read()).users if a.id == number), None)

    async def named(self, username: str) -> Account | None:
        """Return the account with this username."""
        key = username_key(username)
        return next((a for a in (await self._read()).users if username_key(a.username) == key), None)

    async def create(self, new: NewAccount) -> Account:
        """Append an account."""

        def change(document: _Document) -> tuple[_Document, Account]:
            after = _with(document, new)
            return after, after.users[-1]

        return await self._write(change)

    async def update(self, number: int, changes: Changes) -> Account | None:
        """Replace an account."""

        def change(document: _Document) -> tuple[_Document, Account | None]:
            before = next((a for a in document.users if a.id == number), None)
            if before is None:
                return document, None
            account = replace(before, **changes)
            _check_unique(document.users, account)
            users = [account if a.id == number else a for a in document.users]
            return replace(document, users=users), account

        return await self._write(change)

    async def rehash(self, number: int, before: str, after: str) -> bool:
        """Compare and set, under the lock."""

        def change(document: _Document) -> tuple[_Document, bool]:
            place = next(
                (i for i, a in enumerate(document.users) if (a.id, a.hashed_password) == (number, before)), None
            )
            if place is None:
                return document, False
            users = list(document.users)
            users[place] = replace(users[place], hashed_password=after)
            return replace(document, users=users), True

        return await self._write(change)

    async def fill(self, accounts: Sequence[NewAccount]) -> bool:
        """Append to nothing."""

        def change(document: _Document) -> tuple[_Document, bool]:
            if document.users:
                return document, False
            return reduce(_with, accounts, document), True

        return await self._write(change)

    async def delete(self, number: int) -> bool:
        """Leave an account out."""

        def change(document: _Document) -> tuple[_Document, bool]:
            users = [a for a in document.users if a.id != number]
            return replace(document, users=users), len(users) < len(document.users)

        return await self._write(change)

    async def ready(self) -> None:
        """Read the file, and see that a new one could be written beside it."""
        await self._read()
        folder = self._path.absolute().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ValueError(f"{folder} is no folder that users can be kept in: make it, or change DATABASE_URL")

    async def _read(self) -> _Document:
        return await to_thread.run_sync(_load, self._path)

    async def _write(self, change: Callable[[_Document], tuple[_Document, T]]) -> T:
        def work() -> T:
            with _locked(self._path):
                before = _load(self._path)
                after, result = change(before)
                if after != before:
                    _save(self._path, after)
                return result

        return await to_thread.run_sync(work)


def _searched(account: Account) -> tuple[str | None, ...]:
    return account.username, account.email, account.full_name


def _with(document: _Document, new: NewAccount) -> _Document:
    account = Account(**asdict(new), id=document.next_id, created_at=datetime.now(UTC))
    _check_unique(document.users, account)
    return _Document(account.id + 1, [*document.users, account])


def _check_unique(users: list[Account], account: Account) -> None:
    others = [a for a in users if a.id != account.id]
    if any(username_key(a.username) == username_key(account.username) for a in others):
        raise Taken("username")
    if account.email is not None and any(email_key(a.email) == email_key(account.email) for a in others):
        raise Taken("email")


def _load(path: Path) -> _Document:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _Document()
    try:
        document = _DOCUMENT.validate_json(content)
    except ValidationError as error:
        # Hashes are in there: say where it is wrong, never what it holds.
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path} is not a users file: {place or 'the whole'}: {first['msg']}") from None
    if document.next_id <= max((a.id for a in document.users), default=0):
        raise ValueError(f"{path} is not a users file: next_id: it has to be above every id in use")
    return document


def _save(path: Path, document: _Document) -> None:
    text = json.dumps(_DOCUMENT.dump_python(document, mode="json"), indent=4, ensure_ascii=False)
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    # The new name is on the disk only once the folder is.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _locked(path: Path) -> Generator[None]:
    # A file of its own: the one with the accounts is replaced, and a lock on it would go with the old one.
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
