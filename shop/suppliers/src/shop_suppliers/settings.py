"""Settings of the suppliers service, from the environment."""

from limen_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """SQLite in a file by default, so that nothing is lost at a restart."""

    database_url: str = "sqlite://suppliers.sqlite3"
