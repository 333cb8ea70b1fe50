"""Settings of the users service, from the environment."""

from typing import ClassVar, Self

from pydantic import SecretStr, TypeAdapter, ValidationError, field_validator, model_validator

from limen_kit.settings import ServiceSettings
from shop_users.schemas import NewPassword, Username

JSON = "json:"

_USERNAME: TypeAdapter[str] = TypeAdapter(Username)
_PASSWORD: TypeAdapter[str] = TypeAdapter(NewPassword)


class Settings(ServiceSettings):
    """``DATABASE_URL`` is SQLite in a file by default; ``json:users.json`` keeps the accounts in a JSON file.

    ``DEMO=1`` fills an empty store with the demo accounts; ``ADMIN_USERNAME`` and ``ADMIN_PASSWORD`` with a first admin.
    """

    schemes: ClassVar[tuple[str, ...]] = (*ServiceSettings.schemes, JSON)

    database_url: str = "sqlite://users.sqlite3"
    demo: bool = False
    admin_username: str | None = None
    admin_password: SecretStr | None = None

    @field_validator("admin_username")
    @classmethod
    def usable_username(cls, name: str | None) -> str | None:
        """Refuse a name that the API would refuse."""
        if name is not None and not _fits(_USERNAME, name):
            raise ValueError("1 to 50 visible characters are needed, and no space")
        return name

    @field_validator("admin_password")
    @classmethod
    def usable_password(cls, password: SecretStr | None) -> SecretStr | None:
        """Refuse a password that nobody else could choose, or nobody could log in with."""
        if password is not None and not _fits(_PASSWORD, password.get_secret_value()):
            raise ValueError("8 to 128 characters are needed, and no NUL")
        return password

    @model_validator(mode="after")
    def whole_admin(self) -> Self:
        """Refuse half an admin."""
        if (self.admin_username is None) != (self.admin_password is None):
            raise ValueError("ADMIN_USERNAME and ADMIN_PASSWORD go together: give both, or neither")
        return self


def _fits(kind: TypeAdapter[str], text: str) -> bool:
    try:
        kind.validate_python(text)
    except ValidationError:
        return False
    return True
