"""The first accounts of an empty store: those of the demonstration, or one admin. A store with accounts is left alone."""

import logging
from collections.abc import Sequence

from shop_users.accounts import NewAccount, Store, UserType
from shop_users.passwords import Passwords
from shop_users.settings import Settings

_log = logging.getLogger("shop_users.seed")

Seed = tuple[str, str, UserType, str | None, str | None]

# Username, password, type, email, full name: known to everybody, therefore only ever made when DEMO asks for them.
DEMO: Sequence[Seed] = (
    ("admin", "a", "admin", "admin@example.com", None),
    ("johndoe", "b", "default", "johndoe@example.com", "John Doe"),
    ("test", "test", "default", "test@example.com", None),
)


async def seed(store: Store, passwords: Passwords, settings: Settings) -> None:
    """Fill an empty ``store`` with what ``settings`` ask for."""
    wanted: Sequence[Seed] = DEMO if settings.demo else ()
    if not wanted and settings.admin_username is not None and settings.admin_password is not None:
        wanted = ((settings.admin_username, settings.admin_password.get_secret_value(), "admin", None, None),)
    if not wanted or (await store.page(q=None, limit=1, offset=0))[1]:
        return
    accounts = [
        NewAccount(
            username=username,
            hashed_password=await passwords.hashed(password),
            user_type=user_type,
            email=email,
            full_name=full_name,
            created_by=1,
        )
        for username, password, user_type, email, full_name in wanted
    ]
    # Another process that starts at the same time may have been first.
    if await store.fill(accounts):
        _log.info("made the first accounts: %s", ", ".join(account.username for account in accounts))
