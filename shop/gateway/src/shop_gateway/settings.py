"""Settings of the shop's gateway, from the environment."""

from functools import lru_cache

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The environment names are the field names in upper case.

    ``secret_key`` has no default: a gateway with a known key protects nothing.
    """

    # A refused value must not show in a traceback.
    model_config = SettingsConfigDict(hide_input_in_errors=True)

    secret_key: SecretStr
    users_service_url: str
    orders_service_url: str
    suppliers_service_url: str
    access_token_default_expire_minutes: int = Field(default=360, ge=1, le=525_600)
    gateway_timeout: float = Field(default=59, gt=0, le=3600, description="Seconds for a whole call of a service.")


@lru_cache
def settings() -> Settings:
    """Return the settings, read once."""
    return Settings()  # pyright: ignore[reportCallIssue] - the environment gives the fields
