"""Accounts in a document."""

from dataclasses import asdict, replace
from datetime import datetime
from functools import reduce

from limen_accounts.accounts import (
    Account,
    Changes,
    NewAccount,
    UsernameOrEmailTaken,
    VersionChanged,
    deletion_event,
    email_key,
    former_username_key,
    username_key,
)
from limen_accounts.json_store.document import Document


def matching(document: Document, q: str | None) -> list[Account]:
    """Return the accounts whose names or email contain ``q``; all without one."""
    if not q:
        return document.users
    sought = q.casefold()
    return [
        account
        for account in document.users
        if any(sought in (text or "").casefold() for text in (account.username, account.email, account.full_name))
    ]


def named(document: Document, username: str) -> Account | None:
    """Return the account with this username."""
    key, former = username_key(username), former_username_key(username)
    alike = [account for account in document.users if username_key(account.username) == key]
    return min(alike, key=lambda account: former_username_key(account.username) != former, default=None)


def create(document: Document, new: NewAccount, now: datetime) -> tuple[Document, Account]:
    """Append an account; raises UsernameOrEmailTaken."""
    account = Account(**asdict(new), id=document.next_id, created_at=now)
    _check_unique(document, account)
    return replace(document, next_id=account.id + 1, users=[*document.users, account]), account


def create_first(document: Document, accounts: list[NewAccount], now: datetime) -> tuple[Document, bool]:
    """Append to an empty list."""
    if document.users:
        return document, False
    return reduce(lambda before, new: create(before, new, now)[0], accounts, document), True


def update(
    document: Document, number: int, changes: Changes, version: int | None
) -> tuple[Document, tuple[Account, list[str]] | None]:
    """Replace an account, and end its sessions for another user type; raises UsernameOrEmailTaken and VersionChanged."""
    before = document.account(number)
    if before is None:
        return document, None
    if version not in (None, before.version):
        raise VersionChanged
    if not changes:
        return document, (before, [])
    account = replace(before, **changes, version=before.version + 1)
    _check_unique(document, account)
    after, ended = _with(document, account), list[str]()
    if account.user_type != before.user_type:
        after, ended = without_sessions(after, number)
    return after, (account, ended)


def lock(document: Document, number: int, now: datetime) -> tuple[Document, list[str] | None]:
    """Lock an account, and remove its sessions."""
    account = document.account(number)
    if account is None:
        return document, None
    if account.locked_at is None:
        document = _with(document, replace(account, locked_at=now, version=account.version + 1))
    return without_sessions(document, number)


def unlock(document: Document, number: int) -> tuple[Document, bool]:
    """Unlock an account."""
    account = document.account(number)
    if account is None or account.locked_at is None:
        return document, account is not None
    return _with(document, replace(account, locked_at=None, version=account.version + 1)), True


def replace_hash(document: Document, number: int, before: str, after: str) -> tuple[Document, bool]:
    """Compare and set."""
    account = document.account(number)
    if account is None or account.hashed_password != before:
        return document, False
    return _with(document, replace(account, hashed_password=after)), True


def change_password(document: Document, number: int, before: str, after: str) -> tuple[Document, list[str] | None]:
    """Compare and set, and remove the sessions."""
    changed, replaced = replace_hash(document, number, before, after)
    return without_sessions(changed, number) if replaced else (document, None)


def delete(
    document: Document, number: int, version: int | None, now: datetime, *, events: bool
) -> tuple[Document, list[str] | None]:
    """Remove an account with its sessions and keys; append the event, if ``events`` are kept. Raises VersionChanged."""
    account = document.account(number)
    if account is None:
        return document, None
    if version not in (None, account.version):
        raise VersionChanged
    remaining = replace(
        document,
        users=[account for account in document.users if account.id != number],
        api_keys=[key for key in document.api_keys if key.owner != number],
        events=[*document.events, deletion_event(number, now)] if events else document.events,
    )
    return without_sessions(remaining, number)


def without_sessions(document: Document, number: int) -> tuple[Document, list[str]]:
    """Return ``document`` without the sessions of an account, and their ids."""
    ended = [session.id for session in document.sessions if session.account_id == number]
    return replace(document, sessions=[s for s in document.sessions if s.account_id != number]), ended


def _with(document: Document, account: Account) -> Document:
    return replace(document, users=[account if before.id == account.id else before for before in document.users])


def _check_unique(document: Document, account: Account) -> None:
    others = [other for other in document.users if other.id != account.id]
    if any(username_key(other.username) == username_key(account.username) for other in others):
        raise UsernameOrEmailTaken("username")
    if account.email is not None and any(email_key(other.email) == email_key(account.email) for other in others):
        raise UsernameOrEmailTaken("email")
