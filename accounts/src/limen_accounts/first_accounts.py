"""The first accounts of an empty store. A store that has accounts is not touched."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from limen_accounts.accounts import AccountStore, NewAccount
from limen_accounts.passwords import PasswordHasher

_log = logging.getLogger("limen_accounts.first_accounts")

# The first account is made by nobody else.
_FIRST_ID = 1


@dataclass(frozen=True, slots=True)
class FirstAccount:
    """An account that an empty store begins with. Its password is not checked against the rules for new ones."""

    username: str
    password: str = field(repr=False)
    user_type: str
    email: str | None = None
    full_name: str | None = None


async def create_first_accounts(store: AccountStore, hasher: PasswordHasher, accounts: Sequence[FirstAccount]) -> None:
    """Store ``accounts``, with the ids 1, 2 and so on, if ``store`` is empty."""
    if not accounts or (await store.list_accounts(q=None, limit=1, offset=0))[1]:
        return
    new = [
        NewAccount(
            username=account.username,
            hashed_password=await hasher.hash(account.password),
            user_type=account.user_type,
            email=account.email,
            full_name=account.full_name,
            created_by=_FIRST_ID,
        )
        for account in accounts
    ]
    # Another process that starts at the same time may have been first.
    if await store.create_first_accounts(new):
        _log.info("made the first accounts: %s", ", ".join(account.username for account in new))
