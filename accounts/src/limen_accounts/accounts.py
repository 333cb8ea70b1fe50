"""Accounts, and the interface of the stores that keep them. Nothing here knows HTTP or a database."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypedDict

UserType = Literal["admin", "default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account that has no id yet."""

    username: str
    hashed_password: str
    user_type: UserType
    email: str | None = None
    full_name: str | None = None
    created_by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(NewAccount):
    """A stored account. ``hashed_password`` never leaves the service."""

    id: int
    created_at: datetime


class Changes(TypedDict, total=False):
    """The fields of an account that may change; absent ones stay."""

    username: str
    email: str | None
    full_name: str | None
    user_type: UserType


class UsernameOrEmailTaken(Exception):
    """Another account has this username or email already; ``field`` says which."""

    def __init__(self, field: Literal["username", "email"]) -> None:
        """Name the field."""
        super().__init__(field)
        self.field = field


class AccountStore(Protocol):
    """Where accounts are kept. Usernames and emails are unique whatever their case, also under concurrent writers."""

    async def page(self, *, q: str | None, limit: int, offset: int) -> tuple[list[Account], int]:
        """Return a page in the order of ids, and how many there are in all; ``q`` searches names and email."""
        ...

    async def get(self, number: int) -> Account | None:
        """Return the account with this id."""
        ...

    async def by_username(self, username: str) -> Account | None:
        """Return the account with this username."""
        ...

    async def create(self, new: NewAccount) -> Account:
        """Store an account under a new id, which was never used before; raises UsernameOrEmailTaken."""
        ...

    async def update(self, number: int, changes: Changes) -> Account | None:
        """Change an account and return it, or None if there is none; raises UsernameOrEmailTaken."""
        ...

    async def rehash(self, number: int, before: str, after: str) -> bool:
        """Replace the hash ``before`` with ``after``, a better hash of the same password; return whether it was replaced.

        It is not when ``before`` is no longer the account's hash: a login must not undo a change of the password. The
        account's sessions continue.
        """
        ...

    async def change_password(self, number: int, before: str, after: str) -> list[str] | None:
        """Replace the hash ``before`` with that of another password and end the account's sessions, in one transaction.

        Returns the ids of the ended sessions, or None when ``before`` is no longer the account's hash.
        """
        ...

    async def fill(self, accounts: Sequence[NewAccount]) -> bool:
        """Store ``accounts``, all or none, if the store is empty; return whether they were stored.

        Of several concurrent calls, exactly one stores.
        """
        ...

    async def delete(self, number: int) -> list[str] | None:
        """Delete an account with its sessions and API keys, in one transaction.

        Returns the ids of the ended sessions, or None when there is no such account.
        """
        ...

    async def ready(self) -> None:
        """Raise when the store is not usable."""
        ...


def username_key(username: str) -> str:
    """Return the form in which usernames are compared: equal for two that look the same to a reader."""
    return unicodedata.normalize("NFC", username.casefold())


def email_key(email: str | None) -> str | None:
    """Return the form in which emails are compared; None never conflicts."""
    return None if email is None else email.lower()


def unique_keys(changes: Mapping[str, object]) -> dict[str, str | None]:
    """Return the values of the unique columns for the username and email in ``changes``."""
    keys: dict[str, str | None] = {}
    if isinstance(username := changes.get("username"), str):
        keys["username_key"] = username_key(username)
    if "email" in changes:
        email = changes["email"]
        keys["email_key"] = email_key(email if isinstance(email, str) else None)
    return keys
