"""Settings of every service, from the environment."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from limen_kit.database_url import check_database_url

LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda text: str(text).upper())]


class ServiceSettings(BaseSettings):
    """The environment names are the field names in upper case: ``DATABASE_URL``, ``LOG_LEVEL``.

    Each service sets the default of ``database_url``. ``schemes`` are the allowed beginnings of its value.

    ``identity_keys`` are the gateway's public keys: a JWK Set as JSON, the path of a file that holds one, or an address such
    as ``https://gateway/.well-known/jwks.json``. With them, only callers that the gateway has signed for are accepted
    (``limen_kit.identity``). ``plain`` believes the plain headers of whoever reaches the service. A service does not start
    without one or the other; migrating its database needs neither. ``identity_audience`` is this service's name at the
    gateway, if it differs from the service's own; ``identity_issuer`` is the gateway's name in its assertions.
    """

    # A refused value, such as an address with a password, must not appear in a traceback.
    model_config = SettingsConfigDict(hide_input_in_errors=True)

    schemes: ClassVar[tuple[str, ...]] = ("sqlite://", "postgres://", "postgresql://", "asyncpg://")

    database_url: str
    log_level: LogLevel = "INFO"
    identity_keys: str | None = Field(
        default=None, repr=False
    )  # it may be a private key by mistake, which must not appear in a log
    identity_audience: str = ""
    identity_issuer: str = "limen"

    @field_validator("database_url")
    @classmethod
    def check_scheme(cls, url: str) -> str:
        """Refuse an address of another kind; its text is not repeated, since it may hold a password."""
        if not url.startswith(cls.schemes):
            raise ValueError(f"a database address begins with one of {', '.join(cls.schemes)}")
        return check_database_url(url)
