"""The tables of this library, and Tortoise's configuration of a database that holds them."""

from limen_accounts.settings import JSON_SCHEME
from limen_kit.database import Tables, TortoiseConfig, tortoise_config

TABLES = Tables("accounts", "limen_accounts.tortoise_stores.models", "limen_accounts.migrations", formerly="users")
"""For a service that has tables of its own beside them: ``tortoise_config(url, TABLES, ...)``."""


def database_config(url: str) -> TortoiseConfig | None:
    """Return Tortoise's configuration for ``url``; None for a JSON file."""
    return None if url.startswith(JSON_SCHEME) else tortoise_config(url, TABLES)


# For ``python -m limen_kit makemigrations``, which needs no database; a service configures its own.
TORTOISE_ORM = tortoise_config("sqlite://:memory:", TABLES)
