"""The first accounts of an empty store: the demo accounts, or one admin. A store that has accounts is not touched."""

import logging
from collections.abc import Sequence

from limen_accounts.accounts import AccountStore, NewAccount, UserType
from limen_accounts.passwords import PasswordHasher
from limen_accounts.settings import Settings

_log = logging.getLogger("limen_accounts.seed")

SeedAccount = tuple[str, str, UserType, str | None, str | None]

# Username, password, type, email, full name. Everybody knows them, so they are made only when DEMO is set.
DEMO_ACCOUNTS: Sequence[SeedAccount] = (
    ("admin", "a", "admin", "admin@example.com", None),
    ("johndoe", "b", "default", "johndoe@example.com", "John Doe"),
    ("test", "test", "default", "test@example.com", None),
)


async def seed(store: AccountStore, hasher: PasswordHasher, settings: Settings) -> None:
    """Fill an empty ``store`` with the accounts of ``settings``."""
    accounts_to_make: Sequence[SeedAccount] = DEMO_ACCOUNTS if settings.demo else ()
    if not accounts_to_make and settings.admin_username is not None and settings.admin_password is not None:
        accounts_to_make = ((settings.admin_username, settings.admin_password.get_secret_value(), "admin", None, None),)
    if not accounts_to_make or (await store.page(q=None, limit=1, offset=0))[1]:
        return
    accounts = [
        NewAccount(
            username=username,
            hashed_password=await hasher.hash(password),
            user_type=user_type,
            email=email,
            full_name=full_name,
            created_by=1,
        )
        for username, password, user_type, email, full_name in accounts_to_make
    ]
    # Another process that starts at the same time may have been first.
    if await store.fill(accounts):
        _log.info("made the first accounts: %s", ", ".join(account.username for account in accounts))
