"""API keys, and the interface of the stores that keep them. Nothing here knows HTTP or a database.

A machine uses a key to call in the name of the key's owner. The text of a key is ``key_``, its id, and 256 random bits; only
a digest is stored. The key's scopes say what it may be used for; the gateway's rules name them.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Protocol

KEY_PREFIX = "key_"
"""The beginning of every key, by which secret scanners find one in a repository or a log."""

SCOPE_PATTERN = r"^[\x21\x23-\x5b\x5d-\x7e]+$"
"""A scope-token (RFC 6749, section 3.3)."""

MAX_SCOPES = 20
MAX_KEYS = 50
"""Keys per user."""

MAX_KEY_LIFETIME = timedelta(days=365)
"""How long a key lasts at most, unless ``AccountsSettings.api_key_max_days`` says otherwise."""

LAST_USED_PRECISION = timedelta(minutes=1)
"""``last_used_at`` is written at most this often: a write for every use would cost too much."""

_SECRET_BYTES = 32  # bytes
# No id has more than ten digits; a number that is too large for a database must not reach it.
_KEY_PATTERN = re.compile(rf"{KEY_PREFIX}([1-9][0-9]{{0,9}})_[A-Za-z0-9_\-]{{43}}", re.ASCII)
_LARGEST_ID = 2_147_483_647

# Compared in place of the digest when there is no such key: no text has it, and comparing takes as long.
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that has no id yet. ``session_id`` is the session in which it is made, if the caller has one."""

    owner: int
    name: str
    scopes: tuple[str, ...]
    lifetime: timedelta = MAX_KEY_LIFETIME
    session_id: str | None = None

    def expiry(self, now: datetime) -> datetime:
        """Return when a key that is created ``now`` expires."""
        return now + self.lifetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key, without its secret. ``last_used_at`` is precise to the minute.

    ``expires_at`` None stands only in what was stored before keys had a longest life; no store returns it (``limited``).
    """

    id: int
    owner: int
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def limited(self, longest: timedelta) -> "ApiKey":
        """Return the key with an end: it lasts no longer than ``longest``, whatever is stored."""
        end = self.created_at + longest
        return replace(self, expires_at=end if self.expires_at is None else min(self.expires_at, end))

    def active(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now < self.expires_at

    def last_used_is_outdated(self, now: datetime) -> bool:
        """Whether ``last_used_at`` has to be written again."""
        return self.last_used_at is None or self.last_used_at <= now - LAST_USED_PRECISION


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key. ``text`` is the key itself, which exists only here."""

    key: ApiKey
    text: str = field(repr=False)


class TooManyKeys(Exception):
    """The owner has MAX_KEYS keys."""


class SessionMissing(Exception):
    """The session in which a key was to be made is over."""


class ApiKeyStore(Protocol):
    """Where keys are kept. ``accounts.AccountStore.delete_account`` deletes those of the account in the same transaction.

    Changing a password does not revoke keys by itself: they do not depend on it, and machines would stop working without a
    reason. Who changes it says whether there is one (``revoke_keys``).
    """

    async def create_key(self, new: NewKey) -> CreatedKey:
        """Create a key under a new id, and delete expired keys of this owner.

        A key is made only while its session lasts: whoever ends all sessions and then revokes all keys has revoked those
        that were being made too. Raises SessionMissing and TooManyKeys; and ``accounts.AccountMissing`` when there is no such
        owner, or the owner's account is locked.
        """
        ...

    async def list_keys(self, owner: int) -> list[ApiKey]:
        """Return the keys of an account in the order of ids, expired ones included."""
        ...

    async def revoke_keys(self, owner: int) -> int:
        """Delete all keys of this owner; return how many there were, without those that had expired."""
        ...

    async def revoke_key(self, owner: int, number: int) -> bool:
        """Delete a key of this owner; return whether there was one."""
        ...

    async def introspect_key(self, text: str) -> ApiKey | None:
        """Return the key in ``text`` while it is valid and its owner's account is not locked, and record its use.

        Every invalid text costs the same: one read of the store, one digest and one comparison.
        """
        ...


def parse_key(text: str) -> tuple[int, str]:
    """Return the id and the digest to look for; the id is 0, which no key has, when ``text`` is no key."""
    match = _KEY_PATTERN.fullmatch(text)
    number = 0 if match is None else int(match[1])
    return number if number <= _LARGEST_ID else 0, _digest(text)


def new_secret() -> str:
    """Return the random part of a new key."""
    return token_urlsafe(_SECRET_BYTES)


def format_key(number: int, secret: str) -> tuple[str, str]:
    """Return the text of the key with this id and ``secret``, and its digest."""
    text = f"{KEY_PREFIX}{number}_{secret}"
    return text, _digest(text)


def digests_equal(digest: str, stored: str | None) -> bool:
    """Compare two digests in constant time, also when none is stored."""
    return compare_digest(digest, _NO_DIGEST if stored is None else stored)


def _digest(text: str) -> str:
    # A fast digest is enough: unlike a password, 256 random bits cannot be guessed. A text from JSON may contain lone
    # surrogates, which UTF-8 cannot encode.
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
