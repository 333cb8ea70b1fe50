"""The database of the users service, for the commands that migrate it."""

from limen_accounts.database import TORTOISE_ORM

__all__ = ["TORTOISE_ORM"]
