"""The public contract of the shop: bodies of requests and responses. The services have models of their own."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
LongText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
RowId = Annotated[int, Path(ge=1, le=2_147_483_647)]
UserType = Literal["admin", "default"]


class Form(BaseModel):
    """The body or query that a client sends. Unknown fields are refused, so that a misspelt one is not lost."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Form):
    """The query of a list."""

    limit: int = Field(default=50, ge=1, le=100)
    offset: int = Field(default=0, ge=0, le=2_147_483_647)
    q: str | None = Field(default=None, max_length=200, description="Only rows that contain this text.")


Page = Annotated[PageQuery, Query()]


class Credentials(Form):
    """A login."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=50)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class LoginResponse(BaseModel):
    """The users service's response to a successful login or refresh. Clients never see it."""

    id: int
    user_type: UserType
    session_id: str
    refresh_token: str = Field(repr=False)
    refresh_expires_at: datetime


class TokenPair(BaseModel):
    """An access token, which identifies the caller, and a refresh token, which can be exchanged once for the next pair."""

    access_token: str = Field(repr=False)
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # the scheme's name (RFC 6750), not a secret
    expires_in: int = Field(description="Seconds for which the access token is good.")
    refresh_token: str = Field(repr=False)
    refresh_expires_at: datetime


class RefreshForm(Form):
    """A refresh token."""

    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=512)] = Field(repr=False)


class EndedSessions(BaseModel):
    """The number of sessions that have ended."""

    ended: int


class Session(BaseModel):
    """A session of the caller's. ``user_agent`` and ``address`` are those of the login."""

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

    name: ShortText
    scopes: Annotated[list[KeyScope], Field(min_length=1)]
    expires_in_days: Annotated[int, Field(ge=1, le=365)] | None = None


class Key(BaseModel):
    """An API key, without the key itself."""

    id: int
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = Field(default=None, description="Right to the minute.")


class CreatedKey(BaseModel):
    """A new API key. ``key`` is shown this once."""

    id: int
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    key: str = Field(repr=False)


class UserForm(Form):
    """A new user."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=50)]
    password: Annotated[str, StringConstraints(min_length=8, max_length=128)]
    user_type: UserType
    email: Annotated[str, StringConstraints(max_length=254)] | None = None
    full_name: Annotated[str, StringConstraints(max_length=200)] | None = None


class UserChanges(Form):
    """Changes to a user; what is left out stays as it is."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=50)] = Field(default_factory=str)
    email: Annotated[str, StringConstraints(max_length=254)] | None = None
    full_name: Annotated[str, StringConstraints(max_length=200)] | None = None
    user_type: UserType = Field(default_factory=lambda: "default")


class PasswordChange(Form):
    """A new password; the owner of the account also gives the current one."""

    current_password: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    new_password: Annotated[str, StringConstraints(min_length=8, max_length=128)]


class User(BaseModel):
    """A user as the public sees one."""

    id: int
    username: str
    email: str | None = None
    full_name: str | None = None
    user_type: UserType
    created_by: int
    created_at: datetime


class OrderForm(Form):
    """A new order."""

    address: LongText
    item: ShortText


class Order(BaseModel):
    """An order."""

    id: int
    address: str
    item: str
    status: Literal["placed", "cancelled"]
    created_by: int
    created_at: datetime


class SupplierForm(Form):
    """A new supplier."""

    name: ShortText
    surname: ShortText
    address: LongText


class SupplierChanges(Form):
    """Changes to a supplier; what is left out stays as it is."""

    name: ShortText = Field(default_factory=str)
    surname: ShortText = Field(default_factory=str)
    address: LongText = Field(default_factory=str)


class Supplier(BaseModel):
    """A supplier."""

    id: int
    name: str
    surname: str
    address: str
    created_by: int
    created_at: datetime
