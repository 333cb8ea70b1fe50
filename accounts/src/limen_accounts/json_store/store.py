"""The JSON file as a store of everything: accounts, sessions, API keys and events.

Each change reads the whole file, replaces it, and waits for the disk, one at a time; each read reads all of it. That is right
for a teaching project and for some hundred accounts. For more, use a database.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from limen_accounts.accounts import Account, Changes, NewAccount
from limen_accounts.api_keys import MAX_KEY_LIFETIME, ApiKey, CreatedKey, NewKey, new_secret
from limen_accounts.clock import Clock, wall_clock
from limen_accounts.json_store import accounts, api_keys, sessions
from limen_accounts.json_store.file import JsonFile
from limen_accounts.sessions import EndedSession, NewSession, RefreshedSession, RefreshToken, Session, SessionLimits
from limen_kit.outbox import Event


class JsonStore:
    """An ``AccountStore``, ``SessionStore``, ``ApiKeyStore`` and ``Outbox`` in the file ``path``. The first write creates it.

    ``limits`` are those of sessions; keys end after ``max_key_lifetime``. With ``events``, deletions of accounts
    are stored as events.
    """

    def __init__(
        self,
        path: Path,
        limits: SessionLimits | None = None,
        max_key_lifetime: timedelta = MAX_KEY_LIFETIME,
        *,
        events: bool = False,
        now: Clock = wall_clock,
    ) -> None:
        """Open nothing yet."""
        self._file = JsonFile(path)
        self._limits = limits or SessionLimits()
        self._max_key_lifetime = max_key_lifetime
        self._events = events
        self._now = now

    # Accounts

    async def list_accounts(self, *, q: str | None, limit: int, offset: int) -> tuple[list[Account], int]:
        """Return a page and the count."""
        matching = accounts.matching(await self._file.read(), q)
        return matching[offset : offset + limit], len(matching)

    async def get_account(self, number: int) -> Account | None:
        """Return the account with this id."""
        return (await self._file.read()).account(number)

    async def get_account_by_username(self, username: str) -> Account | None:
        """Return the account with this username."""
        return accounts.named(await self._file.read(), username)

    async def create_account(self, new: NewAccount) -> Account:
        """Append an account."""
        return await self._file.write(lambda document: accounts.create(document, new, self._now()))

    async def update_account(
        self, number: int, changes: Changes, version: int | None = None
    ) -> tuple[Account, list[str]] | None:
        """Replace an account, and remove the sessions of another user type."""
        return await self._file.write(lambda document: accounts.update(document, number, changes, version))

    async def replace_hash(self, number: int, before: str, after: str) -> bool:
        """Compare and set, under the lock."""
        return await self._file.write(lambda document: accounts.replace_hash(document, number, before, after))

    async def change_password(self, number: int, before: str, after: str) -> list[str] | None:
        """Compare and set, and remove the sessions."""
        return await self._file.write(lambda document: accounts.change_password(document, number, before, after))

    async def lock_account(self, number: int) -> list[str] | None:
        """Replace an account, and remove the sessions."""
        return await self._file.write(lambda document: accounts.lock(document, number, self._now()))

    async def unlock_account(self, number: int) -> bool:
        """Replace an account."""
        return await self._file.write(lambda document: accounts.unlock(document, number))

    async def create_first_accounts(self, new: Sequence[NewAccount]) -> bool:
        """Append to an empty list."""
        return await self._file.write(lambda document: accounts.create_first(document, list(new), self._now()))

    async def delete_account(self, number: int, version: int | None = None) -> list[str] | None:
        """Remove an account with its sessions and keys."""
        return await self._file.write(
            lambda document: accounts.delete(document, number, version, self._now(), events=self._events)
        )

    async def ready(self) -> None:
        """Read the file, and check that its folder is writable."""
        await self._file.read()
        folder = self._file.path.absolute().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ValueError(f"{folder} is no folder that users can be kept in: make it, or change DATABASE_URL")

    # Sessions

    async def begin_session(
        self,
        account_id: int,
        *,
        user_agent: str,
        address: str,
        hashed_password: str | None = None,
        user_type: str | None = None,
    ) -> NewSession:
        """Remove expired sessions and those above the limit, and append."""
        token = RefreshToken.of_new_session()
        return await self._file.write(
            lambda document: sessions.begin(
                *(document, account_id, token, self._limits, self._now()),
                user_agent=user_agent,
                address=address,
                hashed_password=hashed_password,
                user_type=user_type,
            )
        )

    async def refresh_session(self, token: RefreshToken) -> RefreshedSession | EndedSession | None:
        """Compare and set, under the lock; a token of no session is refused without waiting for the lock."""
        if sessions.of_token(await self._file.read(), token) is None:
            return None
        next_token = token.successor()
        return await self._file.write(
            lambda document: sessions.refresh(document, token, next_token, self._limits, self._now())
        )

    async def list_sessions(self, account_id: int) -> list[Session]:
        """Filter by the account, without expired sessions."""
        return sessions.listed(await self._file.read(), account_id, self._now())

    async def end_session(self, account_id: int, session_id: str) -> bool:
        """Remove the session."""
        return await self._file.write(lambda document: sessions.end(document, account_id, session_id, self._now()))

    async def end_sessions(self, account_id: int) -> list[str]:
        """Remove all of the account."""
        return await self._file.write(lambda document: accounts.without_sessions(document, account_id))

    async def end_session_of(self, token: RefreshToken) -> EndedSession | None:
        """Remove the session of the token's handle; a token of no session is refused without waiting for the lock."""
        if sessions.of_token(await self._file.read(), token) is None:
            return None
        return await self._file.write(lambda document: sessions.end_of_token(document, token, self._now()))

    # API keys

    async def create_key(self, new: NewKey) -> CreatedKey:
        """Remove the owner's expired keys, and append."""
        secret = new_secret()
        return await self._file.write(
            lambda document: api_keys.create(document, new, secret, self._max_key_lifetime, self._now())
        )

    async def list_keys(self, owner: int) -> list[ApiKey]:
        """Filter by the owner."""
        return api_keys.listed(await self._file.read(), owner, self._max_key_lifetime)

    async def revoke_key(self, owner: int, number: int) -> bool:
        """Remove the key."""
        return await self._file.write(lambda document: api_keys.revoke(document, owner, number))

    async def revoke_keys(self, owner: int) -> int:
        """Remove all keys of the owner."""
        return await self._file.write(
            lambda document: api_keys.revoke_all(document, owner, self._max_key_lifetime, self._now())
        )

    async def introspect_key(self, text: str) -> ApiKey | None:
        """Read, compare, and write ``last_used_at`` when it is outdated."""
        now = self._now()
        key = api_keys.find(await self._file.read(), text, self._max_key_lifetime, now)
        if key is not None and key.last_used_is_outdated(now):
            await self._file.write(lambda document: api_keys.used(document, key.id, now))
        return key

    # Events

    async def pending_events(self, limit: int) -> list[Event]:
        """Return the first of the list."""
        return (await self._file.read()).events[:limit]

    async def event_delivered(self, event_id: str) -> None:
        """Remove the event."""
        await self._file.write(
            lambda document: (replace(document, events=[e for e in document.events if e.id != event_id]), None)
        )
