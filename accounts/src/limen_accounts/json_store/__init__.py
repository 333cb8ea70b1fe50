"""All of the accounts in one JSON file."""

from limen_accounts.json_store.store import JsonStore

__all__ = ["JsonStore"]
