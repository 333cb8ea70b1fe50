"""Settings of the orders service, from the environment."""

from pydantic import field_validator

from limen_kit.fetch import checked_address
from limen_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """SQLite in a file by default, so that nothing is lost at a restart.

    ``gateway_url`` is where the gateway listens, through which suppliers are looked up. Without it, orders that name a
    supplier get 503.
    """

    database_url: str = "sqlite://orders.sqlite3"
    gateway_url: str | None = None

    @field_validator("gateway_url")
    @classmethod
    def check_gateway_url(cls, url: str | None) -> str | None:
        """Refuse what is no address."""
        return None if url is None else checked_address("GATEWAY_URL", url)
