"""Settings of a service with accounts, from the environment."""

from datetime import timedelta
from typing import ClassVar, Self

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, field_validator, model_validator

from limen_accounts.api_keys import MAX_KEY_LIFETIME
from limen_accounts.schemas import NewPassword, Username
from limen_accounts.sessions import SessionLimits
from limen_kit.settings import ServiceSettings

JSON_SCHEME = "json:"

_USERNAME: TypeAdapter[str] = TypeAdapter(Username)
_PASSWORD: TypeAdapter[str] = TypeAdapter(NewPassword)


class AccountsSettings(ServiceSettings):
    """``DATABASE_URL`` is SQLite in a file by default; ``json:users.json`` uses a JSON file instead.

    ``ADMIN_USERNAME`` and ``ADMIN_PASSWORD`` fill an empty store with a first admin.

    ``REFRESH_TOKEN_DAYS`` is how long a session lasts without being used, ``SESSION_MAX_DAYS`` however much it is used;
    ``REFRESH_GRACE`` is for how many seconds a used refresh token works once more (``sessions.SessionLimits``).
    ``API_KEY_MAX_DAYS`` is how long an API key lasts at most, those of before included.
    """

    schemes: ClassVar[tuple[str, ...]] = (*ServiceSettings.schemes, JSON_SCHEME)

    database_url: str = "sqlite://accounts.sqlite3"
    admin_username: str | None = None
    admin_password: SecretStr | None = None
    hash_threads: int | None = Field(default=None, ge=1, le=64, description="That hash passwords at once.")

    refresh_token_days: int = Field(default=30, ge=1, le=365)
    session_max_days: int = Field(default=90, ge=1, le=3650)
    refresh_grace: int = Field(default=0, ge=0, le=60)
    api_key_max_days: int = Field(default=MAX_KEY_LIFETIME.days, ge=1, le=3650)

    @property
    def session_limits(self) -> SessionLimits:
        """How long sessions last."""
        return SessionLimits(
            refresh_lifetime=timedelta(days=self.refresh_token_days),
            max_lifetime=timedelta(days=self.session_max_days),
            refresh_grace=timedelta(seconds=self.refresh_grace),
        )

    @property
    def max_key_lifetime(self) -> timedelta:
        """How long an API key lasts at most."""
        return timedelta(days=self.api_key_max_days)

    @field_validator("admin_username")
    @classmethod
    def check_username(cls, name: str | None) -> str | None:
        """Refuse a name that the API would refuse."""
        if name is not None and not _is_valid(_USERNAME, name):
            raise ValueError("1 to 50 visible characters are needed, and no space")
        return name

    @field_validator("admin_password")
    @classmethod
    def check_password(cls, password: SecretStr | None) -> SecretStr | None:
        """Refuse a password that the API would refuse."""
        if password is not None and not _is_valid(_PASSWORD, password.get_secret_value()):
            raise ValueError("8 to 128 characters are needed, and no NUL")
        return password

    @model_validator(mode="after")
    def check_whole_admin(self) -> Self:
        """Refuse a username without a password, and the reverse."""
        if (self.admin_username is None) != (self.admin_password is None):
            raise ValueError("ADMIN_USERNAME and ADMIN_PASSWORD go together: give both, or neither")
        return self

    @model_validator(mode="after")
    def check_session_outlives_token(self) -> Self:
        """Refuse a refresh token that would outlive its session."""
        if self.session_max_days < self.refresh_token_days:
            raise ValueError("SESSION_MAX_DAYS must not be below REFRESH_TOKEN_DAYS: raise the one, or lower the other")
        return self


def _is_valid(kind: TypeAdapter[str], text: str) -> bool:
    try:
        kind.validate_python(text)
    except ValidationError:
        return False
    return True
