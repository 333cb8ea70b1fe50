"""The database of the users service, as Tortoise's commands and the service itself configure it."""

from limen_accounts.tortoise_stores.config import database_config
from shop_users.settings import Settings

TORTOISE_ORM = database_config(Settings().database_url)
