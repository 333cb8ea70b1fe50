"""The stores of accounts, sessions, keys and events: those at a ``DATABASE_URL``, or somebody's own."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from limen_accounts.accounts import AccountStore
from limen_accounts.api_keys import MAX_KEY_LIFETIME, ApiKeyStore
from limen_accounts.clock import Clock, wall_clock
from limen_accounts.json_store import JsonStore
from limen_accounts.sessions import SessionLimits, SessionStore
from limen_accounts.settings import JSON_SCHEME
from limen_accounts.tortoise_stores import (
    TortoiseAccountStore,
    TortoiseApiKeyStore,
    TortoiseOutbox,
    TortoiseSessionStore,
)
from limen_kit.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Stores:
    """Where everything is kept; one object may be all of them. Without ``events``, nobody is told what has happened.

    Deleting an account ends its sessions and keys, and stores its event, in one transaction: the stores share a database.
    """

    accounts: AccountStore
    sessions: SessionStore
    api_keys: ApiKeyStore
    events: Outbox | None = None


def open_stores(
    url: str,
    limits: SessionLimits | None = None,
    *,
    max_key_lifetime: timedelta = MAX_KEY_LIFETIME,
    events: bool = False,
    now: Clock = wall_clock,
) -> Stores:
    """Return the stores at ``url``: a file for ``json:``, or the database that Tortoise has opened."""
    limits = limits or SessionLimits()
    if url.startswith(JSON_SCHEME):
        file = JsonStore(Path(url.removeprefix(JSON_SCHEME)), limits, max_key_lifetime, events=events, now=now)
        return Stores(file, file, file, file if events else None)
    return Stores(
        TortoiseAccountStore(events=events, now=now),
        TortoiseSessionStore(limits, now),
        TortoiseApiKeyStore(max_key_lifetime, now),
        TortoiseOutbox() if events else None,
    )
