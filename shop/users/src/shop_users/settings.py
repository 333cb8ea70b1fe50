"""Settings of the users service, from the environment."""

from typing import ClassVar, Self

from pydantic import SecretStr, model_validator

from limen_kit.settings import ServiceSettings

JSON = "json:"


class Settings(ServiceSettings):
    """``DATABASE_URL`` is SQLite in a file by default; ``json:users.json`` keeps the accounts in a JSON file.

    ``DEMO=1`` fills an empty store with the demo accounts; ``ADMIN_USERNAME`` and ``ADMIN_PASSWORD`` with a first admin.
    """

    schemes: ClassVar[tuple[str, ...]] = (*ServiceSettings.schemes, JSON)

    database_url: str = "sqlite://users.sqlite3"
    demo: bool = False
    admin_username: str | None = None
    admin_password: SecretStr | None = None

    @model_validator(mode="after")
    def whole_admin(self) -> Self:
        """Refuse half an admin, and one with a password that nobody else could choose."""
        if (self.admin_username is None) != (self.admin_password is None):
            raise ValueError("ADMIN_USERNAME and ADMIN_PASSWORD go together")
        if self.admin_password is not None and len(self.admin_password.get_secret_value()) < 8:
            raise ValueError("ADMIN_PASSWORD needs at least 8 characters")
        return self
