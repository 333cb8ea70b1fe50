"""Settings of the shop's gateway, from the environment."""

from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from limen import Trust
from shop_gateway.addresses import Addresses, Networks

_LEAST_SECRET = 32  # bytes: RFC 7518 section 3.2


class Settings(BaseSettings):
    """The environment names are the field names in upper case.

    Tokens are signed with ``secret_key``, or with the keys in the folder ``token_keys``. Neither has a default: a gateway
    with a known key protects nothing. ``identity_keys`` is the folder of the keys that sign the caller's identity for the
    services; without it they get plain headers, which anybody inside the network could write. ``limen keys`` makes such
    folders.

    ``users_service_url`` and its like are one address, or several with commas between: processes that are alike.

    ``trust`` names the proxies in front, as addresses and networks with commas between: what they write in the headers of the
    family ``trust_headers`` is believed, above all the client's address. Without it, a proxy is taken for the client.

    ``events_key`` is the secret with which the users service signs its tokens for ``POST /events``. Without it there is no
    such route.

    ``oidc_issuer`` names an external issuer whose tokens are accepted too: those for ``oidc_audience`` whose claim
    ``oidc_id_claim`` holds the id of a user of the shop.
    """

    # A refused value must not appear in a traceback.
    model_config = SettingsConfigDict(hide_input_in_errors=True)

    secret_key: SecretStr | None = None
    token_keys: Path | None = None
    identity_keys: Path | None = None
    events_key: SecretStr | None = None
    users_service_url: Addresses
    orders_service_url: Addresses
    suppliers_service_url: Addresses
    trust: Networks = ()
    trust_headers: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    access_token_default_expire_minutes: int = Field(default=15, ge=1, le=525_600)
    gateway_timeout: float = Field(default=59, gt=0, le=3600, description="Seconds for a whole call of a service.")
    oidc_issuer: str | None = None
    oidc_audience: str = "shop"
    oidc_id_claim: str = "shop_user_id"
    oidc_role_claim: str = "shop_role"
    oidc_allow_http: bool = False

    @model_validator(mode="after")
    def check_signing_key(self) -> Self:
        """Refuse both kinds of signing key together, and neither."""
        if (self.secret_key is None) == (self.token_keys is None):
            raise ValueError("SECRET_KEY or TOKEN_KEYS signs the tokens: set one of them, and not both")
        return self

    @model_validator(mode="after")
    def check_events_key(self) -> Self:
        """Refuse a short secret, and one for both: whoever may send events could sign the tokens of users."""
        if self.events_key is None:
            return self
        if (length := len(self.events_key.get_secret_value().encode())) < _LEAST_SECRET:
            raise ValueError(f"EVENTS_KEY has {length} bytes; use at least {_LEAST_SECRET} random ones")
        if self.events_key == self.secret_key:
            raise ValueError("EVENTS_KEY must not be SECRET_KEY: it would let a service sign the tokens of users")
        return self

    @model_validator(mode="after")
    def check_trust(self) -> Self:
        """Refuse what is no network."""
        _ = self.trusted_proxies
        return self

    @property
    def trusted_proxies(self) -> Trust:
        """The proxies in front of the gateway."""
        return Trust(self.trust, speaks=self.trust_headers)

    @property
    def token_lifetime(self) -> timedelta:
        """How long an access token is valid."""
        return timedelta(minutes=self.access_token_default_expire_minutes)


@lru_cache
def settings() -> Settings:
    """Return the settings, read once."""
    return Settings()  # pyright: ignore[reportCallIssue] - the environment gives the fields
