"""The accounts of the shop: what ``limen_accounts`` leaves to a service."""

from limen_accounts import Accounts, FirstAccount
from shop_users.settings import Settings

# Everybody knows them, so they are made only when DEMO is set.
DEMO_ACCOUNTS = (
    FirstAccount("admin", "a", "admin", email="admin@example.com"),
    FirstAccount("johndoe", "b", "default", email="johndoe@example.com", full_name="John Doe"),
    FirstAccount("test", "test", "default", email="test@example.com"),
)


def shop_accounts(settings: Settings) -> Accounts:
    """Return the accounts; nobody may delete the first two."""
    return Accounts(
        settings,
        protected_ids=(1, 2),
        first_accounts=DEMO_ACCOUNTS if settings.demo else (),
        events=settings.events_url is not None,
    )
