"""The database of the suppliers service, as Tortoise's commands and the service itself configure it."""

from limen_kit.database import Tables, TortoiseConfig, tortoise_config
from shop_suppliers.settings import Settings


def config(url: str) -> TortoiseConfig:
    """Return the configuration for a database at ``url``."""
    return tortoise_config(url, Tables("suppliers", "shop_suppliers.models", "shop_suppliers.migrations"))


TORTOISE_ORM = config(Settings().database_url)
