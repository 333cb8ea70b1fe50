"""Accounts, and what every store of them can do. Nothing here knows HTTP or a database."""

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
    """What may change about an account; what is absent stays."""

    username: str
    email: str | None
    full_name: str | None
    user_type: UserType


class Taken(Exception):
    """Another account has this username or email already."""

    def __init__(self, field: Literal["username", "email"]) -> None:
        """Name the field."""
        super().__init__(field)
        self.field = field


class Store(Protocol):
    """Where accounts are kept. Usernames and emails are unique whatever their case, also under concurrent writers."""

    async def page(self, *, q: str | None, limit: int, offset: int) -> tuple[list[Account], int]:
        """Return a page in the order of ids, and how many there are in all; ``q`` searches names and email."""
        ...

    async def get(self, number: int) -> Account | None:
        """Return the account with this id."""
        ...

    async def named(self, username: str) -> Account | None:
        """Return the account with this username."""
        ...

    async def create(self, new: NewAccount) -> Account:
        """Store an account under a new id, which was never used before; raises Taken."""
        ...

    async def update(self, number: int, changes: Changes) -> Account | None:
        """Change an account and return it, or None if there is none; raises Taken."""
        ...

    async def rehash(self, number: int, before: str, after: str) -> bool:
        """Put the hash ``after`` in the place of ``before``; tell whether that was still the account's.

        A password that was changed meanwhile stays: nobody gets the old one back by logging in at the right moment. It is
        the same password, in a better hash: sessions go on.
        """
        ...

    async def change_password(self, number: int, before: str, after: str) -> list[str] | None:
        """Put the hash of another password in the place of ``before``, and end the account's sessions, all or nothing.

        Returns the ids of the sessions that were ended, or None when ``before`` was not the account's hash any more.
        """
        ...

    async def fill(self, accounts: Sequence[NewAccount]) -> bool:
        """Store ``accounts``, all or none, if there are none yet; of many that try at once, one does, and is told."""
        ...

    async def delete(self, number: int) -> list[str] | None:
        """Delete an account with its sessions and API keys, all or nothing.

        Returns the ids of the sessions that were ended, or None when there was no such account.
        """
        ...

    async def ready(self) -> None:
        """Raise when the store cannot be used."""
        ...


def username_key(username: str) -> str:
    """Return what two usernames share when they are the same to a reader."""
    return unicodedata.normalize("NFC", username.casefold())


def email_key(email: str | None) -> str | None:
    """Return what two emails share when they are the same; accounts without one never clash."""
    return None if email is None else email.lower()


def keys(changes: Mapping[str, object]) -> dict[str, str | None]:
    """Return the keys that go with the names in ``changes``."""
    found: dict[str, str | None] = {}
    if isinstance(username := changes.get("username"), str):
        found["username_key"] = username_key(username)
    if "email" in changes:
        email = changes["email"]
        found["email_key"] = email_key(email if isinstance(email, str) else None)
    return found
