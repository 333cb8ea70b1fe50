"""Accounts for services: logins, sessions, API keys and the accounts themselves, behind a gateway."""

from limen_accounts.first_accounts import FirstAccount
from limen_accounts.part import Accounts
from limen_accounts.settings import AccountsSettings
from limen_accounts.stores import Stores
from limen_accounts.tortoise_stores.config import TABLES

__all__ = ["TABLES", "Accounts", "AccountsSettings", "FirstAccount", "Stores"]
