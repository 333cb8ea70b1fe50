"""API keys in a document."""

from dataclasses import fields, replace
from datetime import datetime, timedelta

from limen_accounts.accounts import AccountMissing
from limen_accounts.api_keys import (
    MAX_KEYS,
    ApiKey,
    CreatedKey,
    NewKey,
    SessionMissing,
    TooManyKeys,
    digests_equal,
    format_key,
    parse_key,
)
from limen_accounts.json_store.document import Document, StoredKey


def create(
    document: Document, new: NewKey, secret: str, longest: timedelta, now: datetime
) -> tuple[Document, CreatedKey]:
    """Remove the owner's expired keys, and append; raises AccountMissing, SessionMissing and TooManyKeys."""
    if (owner := document.account(new.owner)) is None or owner.locked_at is not None:
        raise AccountMissing
    sessions = {session.id for session in document.sessions if session.account_id == new.owner}
    if new.session_id is not None and new.session_id not in sessions:
        raise SessionMissing
    remaining = [key for key in document.api_keys if key.owner != new.owner or key.limited(longest).active(now)]
    if sum(key.owner == new.owner for key in remaining) >= MAX_KEYS:
        raise TooManyKeys
    number = document.next_key_id
    text, digest = format_key(number, secret)
    key = StoredKey(
        id=number,
        owner=new.owner,
        name=new.name,
        scopes=new.scopes,
        digest=digest,
        created_at=now,
        expires_at=new.expiry(now),
        last_used_at=None,
    )
    after = replace(document, next_key_id=number + 1, api_keys=[*remaining, key])
    return after, CreatedKey(_without_digest(key).limited(longest), text)


def listed(document: Document, owner: int, longest: timedelta) -> list[ApiKey]:
    """Return the keys of an account."""
    return [_without_digest(key).limited(longest) for key in document.api_keys if key.owner == owner]


def revoke(document: Document, owner: int, number: int) -> tuple[Document, bool]:
    """Remove the key."""
    remaining = [key for key in document.api_keys if (key.id, key.owner) != (number, owner)]
    return replace(document, api_keys=remaining), len(remaining) < len(document.api_keys)


def revoke_all(document: Document, owner: int, longest: timedelta, now: datetime) -> tuple[Document, int]:
    """Remove the keys of an account; return how many had not expired."""
    active = sum(key.active(now) for key in listed(document, owner, longest))
    return replace(document, api_keys=[key for key in document.api_keys if key.owner != owner]), active


def find(document: Document, text: str, longest: timedelta, now: datetime) -> ApiKey | None:
    """Return the key in ``text`` while it is valid, after one comparison in any case.

    A key whose owner is gone is not: somebody may have taken the user out of the file by hand, and nothing else.
    """
    number, digest = parse_key(text)
    stored = next((key for key in document.api_keys if key.id == number), None)
    matches = digests_equal(digest, None if stored is None else stored.digest)
    if stored is None or not matches:
        return None
    key, owner = _without_digest(stored).limited(longest), document.account(stored.owner)
    return key if key.active(now) and owner is not None and owner.locked_at is None else None


def used(document: Document, number: int, now: datetime) -> tuple[Document, None]:
    """Write when the key was used last."""
    keys = [replace(key, last_used_at=now) if key.id == number else key for key in document.api_keys]
    return replace(document, api_keys=keys), None


def _without_digest(stored: StoredKey) -> ApiKey:
    return ApiKey(**{field.name: getattr(stored, field.name) for field in fields(ApiKey)})
