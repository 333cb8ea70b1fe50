"""The users service with cheap password hashes, as a process: ``limen serve cheap_users:app``."""

from limen_accounts.testing import hash_cheaply

hash_cheaply()

from shop_users.app import app  # noqa: E402  # it hashes from now on

__all__ = ["app"]
