"""Where accounts, sessions and keys are kept, as Tortoise's commands and the service itself configure it."""

from pathlib import Path

from limen_kit.database import TortoiseConfig, tortoise_config
from shop_users.accounts import Store
from shop_users.api_keys import Keys
from shop_users.json_keys import JsonKeys
from shop_users.json_sessions import JsonSessions
from shop_users.json_store import JsonStore
from shop_users.sessions import Clock, Rules, Sessions, wall_clock
from shop_users.settings import JSON, Settings
from shop_users.sql_keys import SqlKeys
from shop_users.sql_sessions import SqlSessions
from shop_users.sql_store import SqlStore


def config(url: str) -> TortoiseConfig | None:
    """Return Tortoise's configuration for ``url``; None for a JSON file."""
    if url.startswith(JSON):
        return None
    return tortoise_config(url, "users", models="shop_users.models", migrations="shop_users.migrations")


def store(url: str) -> Store:
    """Return the store of accounts at ``url``."""
    return JsonStore(_path(url)) if url.startswith(JSON) else SqlStore()


def sessions(url: str, rules: Rules, now: Clock = wall_clock) -> Sessions:
    """Return the store of sessions at ``url``."""
    return JsonSessions(_path(url), rules, now) if url.startswith(JSON) else SqlSessions(rules, now)


def keys(url: str, now: Clock = wall_clock) -> Keys:
    """Return the store of API keys at ``url``."""
    return JsonKeys(_path(url), now) if url.startswith(JSON) else SqlKeys(now)


def _path(url: str) -> Path:
    return Path(url.removeprefix(JSON))


TORTOISE_ORM = config(Settings().database_url)
