"""Settings of the users service, from the environment."""

from limen_accounts import AccountsSettings


class Settings(AccountsSettings):
    """SQLite in a file by default; ``json:users.json`` uses a JSON file instead.

    ``DEMO=1`` fills an empty store with the demo accounts.
    """

    database_url: str = "sqlite://users.sqlite3"
    demo: bool = False
