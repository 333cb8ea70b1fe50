"""The stores of accounts, sessions and keys for a ``DATABASE_URL``, and the configuration for Tortoise's commands."""

from pathlib import Path

from limen_kit.database import Tables, TortoiseConfig, tortoise_config
from limen_accounts.accounts import AccountStore
from limen_accounts.api_keys import ApiKeyStore
from limen_accounts.json_accounts import JsonAccountStore
from limen_accounts.json_api_keys import JsonApiKeyStore
from limen_accounts.json_sessions import JsonSessionStore
from limen_accounts.sessions import Clock, SessionLimits, SessionStore, wall_clock
from limen_accounts.settings import JSON_SCHEME, Settings
from limen_accounts.sql_accounts import SqlAccountStore
from limen_accounts.sql_api_keys import SqlApiKeyStore
from limen_accounts.sql_sessions import SqlSessionStore


def config(url: str) -> TortoiseConfig | None:
    """Return Tortoise's configuration for ``url``; None for a JSON file."""
    if url.startswith(JSON_SCHEME):
        return None
    return tortoise_config(url, Tables("users", "limen_accounts.models", "limen_accounts.migrations"))


def account_store(url: str) -> AccountStore:
    """Return the store of accounts at ``url``."""
    return JsonAccountStore(_path(url)) if url.startswith(JSON_SCHEME) else SqlAccountStore()


def session_store(url: str, limits: SessionLimits, now: Clock = wall_clock) -> SessionStore:
    """Return the store of sessions at ``url``."""
    return JsonSessionStore(_path(url), limits, now) if url.startswith(JSON_SCHEME) else SqlSessionStore(limits, now)


def api_key_store(url: str, now: Clock = wall_clock) -> ApiKeyStore:
    """Return the store of API keys at ``url``."""
    return JsonApiKeyStore(_path(url), now) if url.startswith(JSON_SCHEME) else SqlApiKeyStore(now)


def _path(url: str) -> Path:
    return Path(url.removeprefix(JSON_SCHEME))


TORTOISE_ORM = config(Settings().database_url)
