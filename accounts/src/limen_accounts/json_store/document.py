"""What the JSON file holds, as data. The other modules of this folder change it with pure functions, which return the changed
document and a result; only ``file`` does I/O.
"""

from dataclasses import dataclass, field

from pydantic import ConfigDict, with_config

from limen_accounts.accounts import Account
from limen_accounts.api_keys import ApiKey
from limen_accounts.sessions import Session
from limen_kit.outbox import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession(Session):
    """A session with the digests of its current refresh token and, while it may be used once more, of the previous one."""

    digest: str = field(repr=False)
    digest_before: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey(ApiKey):
    """A key with its digest."""

    digest: str = field(repr=False)


# A member of another name is refused: the next write would lose it.
@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Document:
    """The content of the file. Ids are never reused: an old token or key must not match a new account."""

    next_id: int = 1
    users: list[Account] = field(default_factory=list[Account])
    sessions: list[StoredSession] = field(default_factory=list[StoredSession])
    next_key_id: int = 1
    api_keys: list[StoredKey] = field(default_factory=list[StoredKey])
    events: list[Event] = field(default_factory=list[Event])

    def account(self, number: int) -> Account | None:
        """Return the account with this id."""
        return next((account for account in self.users if account.id == number), None)
