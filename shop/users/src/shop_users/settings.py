"""Settings of the users service, from the environment."""

from typing import Self

from pydantic import SecretStr, model_validator

from limen_accounts import AccountsSettings


class Settings(AccountsSettings):
    """SQLite in a file by default; ``json:users.json`` uses a JSON file instead.

    ``DEMO=1`` fills an empty store with the demo accounts.

    ``EVENTS_URL`` is where events are posted, such as that an account is deleted, and ``EVENTS_KEY`` the secret that signs
    this service's tokens for that. Without them no event is stored.
    """

    database_url: str = "sqlite://users.sqlite3"
    demo: bool = False
    events_url: str | None = None
    events_key: SecretStr | None = None

    @model_validator(mode="after")
    def check_events(self) -> Self:
        """Refuse one without the other."""
        if (self.events_url is None) != (self.events_key is None):
            raise ValueError("EVENTS_URL and EVENTS_KEY go together: give both, or neither")
        return self
