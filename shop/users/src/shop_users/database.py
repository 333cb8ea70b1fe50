"""Where accounts are kept, as Tortoise's commands and the service itself configure it."""

from pathlib import Path

from limen_kit.database import TortoiseConfig, tortoise_config
from shop_users.accounts import Store
from shop_users.json_store import JsonStore
from shop_users.settings import JSON, Settings
from shop_users.sql_store import SqlStore


def config(url: str) -> TortoiseConfig | None:
    """Return Tortoise's configuration for ``url``; None for a JSON file."""
    if url.startswith(JSON):
        return None
    return tortoise_config(url, "users", models="shop_users.models", migrations="shop_users.migrations")


def store(url: str) -> Store:
    """Return the store at ``url``."""
    return JsonStore(Path(url.removeprefix(JSON))) if url.startswith(JSON) else SqlStore()


TORTOISE_ORM = config(Settings().database_url)
