"""API keys, and what every store of them can do. Nothing here knows HTTP or a database.

A key is for a machine that calls in the name of its owner: ``key_``, its id, and 256 random bits, of which only a digest
is stored. What a key may do besides being its owner's is in its scopes, which are words that the gateway's rules know.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Protocol

PREFIX = "key_"
"""What every key begins with, so that scanners find one in a repository or a log."""

SCOPE = r"^[\x21\x23-\x5b\x5d-\x7e]+$"
"""A scope-token (RFC 6749, section 3.3)."""

MOST_SCOPES = 20
MAX_KEYS = 50
"""Keys that a user may have."""

SEEN_EVERY = timedelta(minutes=1)
"""How old ``last_used_at`` may be: it is not worth a write for every use."""

_SECRET = 32  # bytes
# Ten digits are more than any id has; a number that is too long for a database must not reach it.
_KEY = re.compile(rf"{PREFIX}([1-9][0-9]{{0,9}})_[A-Za-z0-9_\-]{{43}}", re.ASCII)
_LARGEST_ID = 2_147_483_647

# Stands for the digest of a key that does not exist: no text has it, and comparing it takes as long.
_NONE = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that has no id yet; without ``lifetime`` it is good until it is revoked."""

    owner: int
    name: str
    scopes: tuple[str, ...]
    lifetime: timedelta | None = None

    def end(self, now: datetime) -> datetime | None:
        """Return until when it is good if it is made ``now``."""
        return None if self.lifetime is None else now + self.lifetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What may be told of a key. ``last_used_at`` is right to the minute."""

    id: int
    owner: int
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def active(self, now: datetime) -> bool:
        """Whether it is not over."""
        return self.expires_at is None or now < self.expires_at

    def unseen(self, now: datetime) -> bool:
        """Whether ``last_used_at`` has to be written anew."""
        return self.last_used_at is None or self.last_used_at <= now - SEEN_EVERY


@dataclass(frozen=True, slots=True)
class Created:
    """A key that was made. ``text``, the key itself, is told this once."""

    key: ApiKey
    text: str = field(repr=False)


class TooMany(Exception):
    """The owner has MOST_KEYS keys."""


class Keys(Protocol):
    """Where keys are kept. The keys of an account end with it, in one transaction: ``accounts.Store.delete`` does that.

    They do not end when its password changes: nobody types them, and machines would stop for no reason of theirs.
    """

    async def create(self, new: NewKey) -> Created:
        """Make a key under a new id; keys of this owner that are over make room.

        Raises TooMany, and ``sessions.Gone`` when there is no such owner.
        """
        ...

    async def of(self, owner: int) -> list[ApiKey]:
        """Return the keys of an account in the order of ids, also those that are over."""
        ...

    async def revoke(self, owner: int, number: int) -> bool:
        """End a key of this owner; tell whether there was one."""
        ...

    async def introspect(self, text: str) -> ApiKey | None:
        """Return the key in ``text`` while it is good, and note that it was used.

        Whatever is wrong with another text, finding it out takes one look into the store, one digest and one comparison.
        """
        ...


def read(text: str) -> tuple[int, str]:
    """Return the id and the digest that a store has to look for; an id that none has, when ``text`` is no key."""
    found = _KEY.fullmatch(text)
    number = 0 if found is None else int(found[1])
    return number if number <= _LARGEST_ID else 0, _digest(text)


def secret() -> str:
    """Return the part of a new key that nobody can guess."""
    return token_urlsafe(_SECRET)


def written(number: int, random: str) -> tuple[str, str]:
    """Return the key with this id and ``secret``, and its digest."""
    text = f"{PREFIX}{number}_{random}"
    return text, _digest(text)


def same(digest: str, stored: str | None) -> bool:
    """Tell whether two digests are the same, taking as long when there is none stored."""
    return compare_digest(digest, _NONE if stored is None else stored)


def _digest(text: str) -> str:
    # Nothing slower is needed: unlike a password, 256 random bits are found by no dictionary. A text from JSON may have
    # characters that UTF-8 has not.
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
