"""Accounts, and the interface of the stores that keep them. Nothing here knows HTTP or a database."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypedDict
from uuid import uuid4

from limen_kit.outbox import Event

MAX_USER_TYPE = 20
"""Characters of a user type."""

ADMIN = "admin"
"""The user type of those who manage accounts: ``limen_kit.identity.AdminCaller``."""

FIRST_ADMIN_ID = 1
"""This account stays an admin, and unlocked, so that there always is one."""

USER_DELETED = "user.deleted"
"""The type of the event that an account was deleted; its data is ``{"id": 7}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account that has no id yet. ``user_type`` is any text: the gateway makes it the caller's role."""

    username: str
    hashed_password: str = field(repr=False)
    user_type: str
    email: str | None = None
    full_name: str | None = None
    created_by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(NewAccount):
    """A stored account. ``hashed_password`` never leaves the service; each change of the rest counts up ``version``.

    While it is locked, since ``locked_at``, nobody logs in to it and its API keys are not valid.
    """

    id: int
    created_at: datetime
    version: int = 1
    locked_at: datetime | None = None


class Changes(TypedDict, total=False):
    """The fields of an account that may change; absent ones stay."""

    username: str
    email: str | None
    full_name: str | None
    user_type: str


class UsernameOrEmailTaken(Exception):
    """Another account has this username or email already; ``field`` says which."""

    def __init__(self, field: Literal["username", "email"]) -> None:
        """Name the field."""
        super().__init__(field)
        self.field = field


class VersionChanged(Exception):
    """The account has another version than the one that was to be changed."""


class AccountMissing(Exception):
    """There is no such account, or it no longer has the password that was verified."""


class AccountStore(Protocol):
    """Where accounts are kept. Usernames and emails are unique whatever their case, also under concurrent writers."""

    async def list_accounts(self, *, q: str | None, limit: int, offset: int) -> tuple[list[Account], int]:
        """Return a page in the order of ids, and how many there are in all; ``q`` searches names and email."""
        ...

    async def get_account(self, number: int) -> Account | None:
        """Return the account with this id."""
        ...

    async def get_account_by_username(self, username: str) -> Account | None:
        """Return the account with this username."""
        ...

    async def create_account(self, new: NewAccount) -> Account:
        """Store an account under a new id, which was never used before; raises UsernameOrEmailTaken."""
        ...

    async def update_account(
        self, number: int, changes: Changes, version: int | None = None
    ) -> tuple[Account, list[str]] | None:
        """Change an account; return it and the ids of the ended sessions, or None if there is none.

        Another ``user_type`` ends the account's sessions, in the same transaction: their access tokens state the former
        one. Raises UsernameOrEmailTaken.

        With ``version``, of all who change that version only one succeeds; raises VersionChanged for the others.
        """
        ...

    async def replace_hash(self, number: int, before: str, after: str) -> bool:
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

    async def lock_account(self, number: int) -> list[str] | None:
        """Lock an account and end its sessions, in one transaction; one that is locked keeps its ``locked_at``.

        Returns the ids of the ended sessions, or None when there is no such account.
        """
        ...

    async def unlock_account(self, number: int) -> bool:
        """Unlock an account, if it is locked; return whether there is such an account."""
        ...

    async def create_first_accounts(self, new: Sequence[NewAccount]) -> bool:
        """Store ``new``, all or none, if the store is empty; return whether they were stored.

        Of several concurrent calls, exactly one stores.
        """
        ...

    async def delete_account(self, number: int, version: int | None = None) -> list[str] | None:
        """Delete an account with its sessions and API keys, in one transaction.

        With ``version``, only that one; raises VersionChanged for another. A store that keeps events stores
        ``deletion_event`` in the same transaction.
        Returns the ids of the ended sessions, or None when there is no such account.
        """
        ...

    async def ready(self) -> None:
        """Raise when the store is not usable."""
        ...


def username_key(username: str) -> str:
    """Return the form in which usernames are compared: equal for two that look the same to a reader.

    The steps are those of UsernameCaseMapped (RFC 8265, section 3.3): width, case, and composition. The case is folded, which
    finds more to be equal than the lower case that the RFC asks for: "ß" and "ss".
    """
    composed = unicodedata.normalize("NFC", "".join(map(_usual_width, username)))
    return unicodedata.normalize("NFC", composed.casefold())


def former_username_key(username: str) -> str:
    """Return the key that earlier versions have stored: another one where the width of a character differs.

    An account that has it is found by it first, so that nobody loses the name that they have.
    """
    return unicodedata.normalize("NFC", username.casefold())


def _usual_width(character: str) -> str:
    """Return the character of usual width for a full-width or half-width one."""
    if not unicodedata.decomposition(character).startswith(("<wide>", "<narrow>")):
        return character
    return unicodedata.normalize("NFKC", character)


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


def deletion_event(number: int, now: datetime) -> Event:
    """Return the event that says that the account ``number`` was deleted ``now``."""
    return Event(uuid4().hex, USER_DELETED, {"id": number}, now)
