"""A service of accounts alone, as tests run it."""

from typing import Any

from fastapi import FastAPI

from limen_accounts.first_accounts import FirstAccount
from limen_accounts.part import Accounts
from limen_accounts.settings import AccountsSettings
from limen_kit.app import create_service

FIRST_ACCOUNTS = (
    FirstAccount("admin", "a", "admin", email="admin@example.com"),
    FirstAccount("johndoe", "b", "default", email="johndoe@example.com", full_name="John Doe"),
    FirstAccount("test", "test", "default", email="test@example.com"),
)
"""The accounts 1, an admin, 2 and 3; their passwords are ``a``, ``b`` and ``test``."""


def settings_for(url: str, **others: Any) -> AccountsSettings:
    """Return settings of a service with its store at ``url``; it believes plain identity headers unless told otherwise."""
    others.setdefault("identity_keys", "plain")
    return AccountsSettings(database_url=url, **others)


def make_service(settings: AccountsSettings, **options: Any) -> FastAPI:
    """Return a service with ``Accounts(settings, **options)``, which a test finds in ``app.state.accounts``."""
    accounts = Accounts(settings, **options)
    app = create_service(
        "Accounts", name="users", settings=settings, tortoise_orm=accounts.tortoise_orm, parts=[accounts]
    )
    app.state.accounts = accounts  # before it runs, too: a test may change what it is made of
    return app
