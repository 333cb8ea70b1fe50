"""Accounts in a database, with Tortoise: one store for each protocol."""

from limen_accounts.tortoise_stores.accounts import TortoiseAccountStore
from limen_accounts.tortoise_stores.api_keys import TortoiseApiKeyStore
from limen_accounts.tortoise_stores.events import TortoiseOutbox
from limen_accounts.tortoise_stores.sessions import TortoiseSessionStore

__all__ = ["TortoiseAccountStore", "TortoiseApiKeyStore", "TortoiseOutbox", "TortoiseSessionStore"]
