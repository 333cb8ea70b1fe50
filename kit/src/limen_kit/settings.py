"""Settings that every service has, from the environment."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from limen_kit.address import check_address

LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda text: str(text).upper())]


class ServiceSettings(BaseSettings):
    """The environment names are the field names in upper case: ``DATABASE_URL``, ``LOG_LEVEL``.

    A service gives ``database_url`` its default. ``schemes`` are the beginnings that such an address may have.

    ``identity_keys`` are the gateway's public keys: a JWK Set as JSON, the path of a file that holds one, or an address such
    as ``https://gateway/.well-known/jwks.json``. With them a caller is only believed in when the gateway has signed for it
    (``limen_kit.identity``). ``identity_audience`` is this service's name at the gateway, if it is not the one that it gives
    itself; ``identity_issuer`` is the gateway's name in what it signs.
    """

    # A refused value, such as an address with a password, must not show in a traceback.
    model_config = SettingsConfigDict(hide_input_in_errors=True)

    schemes: ClassVar[tuple[str, ...]] = ("sqlite://", "postgres://", "postgresql://", "asyncpg://")

    database_url: str
    log_level: LogLevel = "INFO"
    identity_keys: str | None = Field(
        default=None, repr=False
    )  # who pastes a private key by mistake need not find it in a log
    identity_audience: str = ""
    identity_issuer: str = "limen"

    @field_validator("database_url")
    @classmethod
    def known_scheme(cls, url: str) -> str:
        """Refuse an address that nothing here can open; its text is not repeated, since it may hold a password."""
        if not url.startswith(cls.schemes):
            raise ValueError(f"a database address begins with one of {', '.join(cls.schemes)}")
        return check_address(url)
