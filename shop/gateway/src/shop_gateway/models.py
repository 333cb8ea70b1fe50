"""The public contract of the shop: bodies of requests and responses. The services have models of their own.

The examples are true: a test sends those of requests to the shop, and holds those of responses against what comes back.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictBool

from shop_gateway.fields import (
    Email,
    LongText,
    NewPassword,
    PresentedDevice,
    PresentedPassword,
    PresentedToken,
    PresentedUsername,
    SearchText,
    ShortText,
    Timestamp,
    Username,
    UserType,
)


def _example(members: dict[str, JsonValue]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [members]})


class Form(BaseModel):
    """The body or query that a client sends. Unknown fields are refused, so that a misspelt one is not lost."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Form):
    """The query of a list."""

    limit: int = Field(default=50, ge=1, le=100, description="How many rows to return, at most.", examples=[10])
    offset: int = Field(default=0, ge=0, le=2_147_483_647, description="How many rows to skip.", examples=[20])
    q: SearchText | None = Field(default=None, description="Only rows that contain this text.", examples=["lamp"])


Page = Annotated[PageQuery, Query()]


class Health(BaseModel):
    """The state of the gateway."""

    model_config = _example({"status": "alive"})

    status: Literal["alive"]


class Credentials(Form):
    """A login."""

    model_config = _example({"username": "johndoe", "password": "b"})

    username: PresentedUsername
    password: PresentedPassword
    device_token: PresentedDevice | None = Field(
        default=None,
        repr=False,
        description="From an earlier login on this device: then guesses of others do not delay it.",
    )


class LoginResponse(BaseModel):
    """The users service's response to a successful login or refresh. Clients never see it."""

    id: int
    user_type: UserType
    session_id: str
    refresh_token: str = Field(repr=False)
    refresh_expires_at: datetime
    device_token: str | None = Field(default=None, repr=False)


class TokenPair(BaseModel):
    """An access token, which identifies the caller, and a refresh token, which can be exchanged once for the next pair."""

    model_config = _example(
        {
            "access_token": "eyJhbGciOiJIUzI1NiIs...",
            "token_type": "bearer",
            "expires_in": 900,
            "refresh_token": "refresh_...",
            "refresh_expires_at": "2026-12-25T12:00:00.000000Z",
            "device_token": "device_...",
        }
    )

    access_token: str = Field(repr=False)
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # the scheme's name (RFC 6750), not a secret
    expires_in: int = Field(description="Seconds for which the access token is good.")
    refresh_token: str = Field(repr=False)
    refresh_expires_at: datetime
    device_token: str | None = Field(
        default=None,
        repr=False,
        description="After a login: keep it beyond the session, and send it with the next login on this device.",
    )


class RefreshForm(Form):
    """A refresh token."""

    model_config = _example({"refresh_token": "refresh_..."})

    refresh_token: PresentedToken = Field(repr=False)


class EndedSessions(BaseModel):
    """The number of sessions that have ended."""

    model_config = _example({"ended": 1})

    ended: int


class Session(BaseModel):
    """A session of the caller's. ``user_agent`` and ``address`` are those of the login."""

    model_config = _example(
        {
            "id": "3eW0yKXpTqWc2h9cVtU4Zg",
            "created_at": "2026-11-25T12:00:00.000000Z",
            "last_used_at": "2026-11-25T12:15:00.000000Z",
            "expires_at": "2026-12-25T12:15:00.000000Z",
            "user_agent": "curl/8.5.0",
            "address": "192.0.2.7",
            "current": True,
        }
    )

    id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str
    address: str
    current: bool = Field(description="Whether this is the session of the token that asks.")


KeyScope = Literal["orders:read", "orders:write", "suppliers:write"]


class KeyForm(Form):
    """A new API key, for a machine that acts for its owner within ``scopes``."""

    model_config = _example({"name": "Nightly report", "scopes": ["orders:read"], "expires_in_days": 30})

    name: ShortText
    scopes: Annotated[list[KeyScope], Field(min_length=1, max_length=20)] = Field(
        description="What the key may be used for; one that comes twice counts once."
    )
    expires_in_days: Annotated[int, Field(ge=1, le=365)] | None = Field(
        default=None, description="Days until the key expires; without it, as many as a key may last."
    )


class Key(BaseModel):
    """An API key, without the key itself."""

    model_config = _example(
        {
            "id": 1,
            "name": "Nightly report",
            "scopes": ["orders:read"],
            "created_at": "2026-11-25T12:00:00.000000Z",
            "expires_at": "2026-12-25T12:00:00.000000Z",
            "last_used_at": "2026-11-26T01:00:00.000000Z",
        }
    )

    id: int
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = Field(default=None, description="Right to the minute.")


class CreatedKey(BaseModel):
    """A new API key. ``key`` is shown this once."""

    model_config = _example(
        {
            "id": 1,
            "name": "Nightly report",
            "scopes": ["orders:read"],
            "created_at": "2026-11-25T12:00:00.000000Z",
            "expires_at": "2026-12-25T12:00:00.000000Z",
            "key": "key_1_...",
        }
    )

    id: int
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    key: str = Field(repr=False, description="What the machine sends as `x-api-key`.")


class RevokedKeys(BaseModel):
    """The number of API keys that were revoked."""

    model_config = _example({"revoked": 1})

    revoked: int


class UserForm(Form):
    """A new user."""

    model_config = _example(
        {
            "username": "ada",
            "password": "correct horse battery",
            "user_type": "default",
            "email": "ada@example.com",
            "full_name": "Ada Lovelace",
        }
    )

    username: Username
    password: NewPassword
    user_type: UserType
    email: Email | None = None
    full_name: ShortText | None = None


class UserChanges(Form):
    """Changes to a user: what is left out stays as it is; null clears ``email`` and ``full_name``."""

    model_config = _example({"full_name": "Ada King, Countess of Lovelace"})

    username: Username = Field(default_factory=str)
    email: Email | None = None
    full_name: ShortText | None = None
    user_type: UserType = Field(default_factory=lambda: "default")


class PasswordChange(Form):
    """A new password; the owner of the account also gives the current one."""

    model_config = _example({"current_password": "b", "new_password": "correct horse battery"})

    current_password: PresentedPassword | None = None
    new_password: NewPassword
    revoke_keys: StrictBool | None = Field(
        default=None, description="Whether API keys end too; left out: if an admin sets another user's password."
    )


class User(BaseModel):
    """A user as the public sees one."""

    model_config = _example(
        {
            "id": 4,
            "username": "ada",
            "email": "ada@example.com",
            "full_name": "Ada Lovelace",
            "user_type": "default",
            "created_by": 1,
            "created_at": "2026-11-25T12:00:00.000000Z",
            "locked_at": None,
        }
    )

    id: int
    username: str
    email: str | None = None
    full_name: str | None = None
    user_type: UserType
    created_by: int = Field(description="The `id` of the admin who created it.")
    created_at: datetime
    locked_at: datetime | None = Field(
        default=None, description="Since when nobody can log in to it; null: it is open."
    )


class OrderForm(Form):
    """A new order."""

    model_config = _example({"address": "12 St James Square, London", "item": "Desk lamp"})

    address: LongText
    item: ShortText
    supplier_id: Annotated[int, Field(ge=1, le=2_147_483_647)] | None = Field(
        default=None, description="The `id` of a supplier, which must exist.", examples=[1]
    )


class Order(BaseModel):
    """An order."""

    model_config = _example(
        {
            "id": 1,
            "address": "12 St James Square, London",
            "item": "Desk lamp",
            "status": "placed",
            "created_by": 2,
            "created_at": "2026-11-25T12:00:00.000000Z",
        }
    )

    id: int
    address: str = Field(description="Empty once the account of its user is deleted.")
    item: str
    supplier_id: int | None = None
    status: Literal["placed", "cancelled"]
    created_by: int = Field(description="The `id` of the user whose order it is.")
    created_at: datetime


class SupplierForm(Form):
    """A new supplier."""

    model_config = _example({"name": "Ada", "surname": "Lovelace", "address": "12 St James Square, London"})

    name: ShortText
    surname: ShortText
    address: LongText


class SupplierChanges(Form):
    """Changes to a supplier; what is left out stays as it is."""

    model_config = _example({"address": "1 Dorset Street, London"})

    name: ShortText = Field(default_factory=str)
    surname: ShortText = Field(default_factory=str)
    address: LongText = Field(default_factory=str)


class Supplier(BaseModel):
    """A supplier."""

    model_config = _example(
        {
            "id": 1,
            "name": "Ada",
            "surname": "Lovelace",
            "address": "12 St James Square, London",
            "created_by": 2,
            "created_at": "2026-11-25T12:00:00.000000Z",
        }
    )

    id: int
    name: str
    surname: str
    address: str
    created_by: int = Field(description="The `id` of the user who created it.")
    created_at: datetime


class CloudEvent(Form):
    """What has happened in a service, in the JSON format of CloudEvents 1.0."""

    model_config = Form.model_config | _example(
        {
            "specversion": "1.0",
            "id": "9f0c2a52-6a0e-4d54-8c59-0a3c7f1f2b11",
            "source": "users",
            "type": "user.deleted",
            "time": "2026-11-25T12:00:00.000000Z",
            "datacontenttype": "application/json",
            "data": {"id": 4},
        }
    )

    specversion: Literal["1.0"]
    id: ShortText = Field(description="The sender's; one event has one id, however often it is sent.")
    source: ShortText = Field(description="The name of the service that sends it.")
    type: ShortText
    time: Timestamp | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, JsonValue] = Field(default_factory=dict, description="What belongs to its type.")
