"""The database of the orders service, as Tortoise's commands and the service itself configure it."""

from limen_kit.database import Tables, TortoiseConfig, tortoise_config
from shop_orders.settings import Settings


def config(url: str) -> TortoiseConfig:
    """Return the configuration for a database at ``url``."""
    return tortoise_config(url, Tables("orders", "shop_orders.models", "shop_orders.migrations"))


TORTOISE_ORM = config(Settings().database_url)
