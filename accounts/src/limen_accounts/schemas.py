"""Bodies of requests and responses. No response has a field for a password or its hash."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from limen_accounts.api_keys import MAX_SCOPES, SCOPE_PATTERN
from limen_accounts.device_tokens import DEVICE_TOKEN_PATTERN
from limen_kit.fields import Form, ShortText

# Ranges of the Basic Multilingual Plane. They leave out controls, blanks, what is never seen (marks of direction and joining,
# fillers, variation selectors) and what has no meaning of its own (surrogates, private use): with these, two different names
# look the same. Not ``str.isprintable``: the pattern stands in documents, and is the same in every version of Python.
_VISIBLE = (
    r"\x21-\x7e\xa1-\xac\xae-\u034e\u0350-\u05ff\u0606-\u061b\u061d-\u06dc\u06de-\u070e\u0710-\u088f\u0892-\u08e1"
    r"\u08e3-\u115e\u1161-\u167f\u1681-\u17b3\u17b6-\u180a\u1810-\u1fff\u2010-\u2027\u2030-\u205e\u2070-\u27ff"
    r"\u2801-\u2fff\u3001-\u3163\u3165-\ud7ff\uf900-\ufdcf\ufdf0-\ufdff\ufe10-\ufefe\uff00-\uff9f\uffa1-\uffef"
)

Username = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=rf"^[{_VISIBLE}]+$")]
"""1 to 50 visible characters."""

# Simple on purpose: only sending a mail would show whether the address works.
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"),
]

NewPassword = Annotated[str, StringConstraints(min_length=8, max_length=128, pattern=r"^[^\x00]*$")]
PresentedPassword = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]

# Longer than any token, for what a client or proxy may add around one: that is answered like any wrong token.
PresentedToken = Annotated[str, StringConstraints(max_length=512)]

Scope = Annotated[str, StringConstraints(max_length=100, pattern=SCOPE_PATTERN)]


ABSENT: Any = Field(default_factory=str)
"""The default of a text that may be left out, and that is not null: it is never read, and not documented."""


class Credentials(Form):
    """A login."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=r"^[^\x00]*$")]
    password: PresentedPassword
    device_token: Annotated[str, StringConstraints(pattern=DEVICE_TOKEN_PATTERN)] | None = Field(
        default=None,
        repr=False,
        description="From an earlier login on this device: guesses of strangers do not delay it.",
    )


class RefreshResponse(BaseModel):
    """The session and its account; the gateway issues an access token from it."""

    id: int
    username: str
    user_type: str
    session_id: str
    refresh_token: str = Field(repr=False)
    refresh_expires_at: datetime


class LoginResponse(RefreshResponse):
    """A session that has begun; ``device_token`` is for the next login on this device."""

    device_token: str = Field(repr=False)


class RefreshForm(Form):
    """A refresh token to exchange for the next one."""

    refresh_token: PresentedToken = Field(repr=False)


class LogoutForm(Form):
    """A refresh token whose session ends; without one, the caller's session ends."""

    refresh_token: PresentedToken | None = Field(default=None, repr=False)


class EndedResponse(BaseModel):
    """The number of sessions that have ended."""

    ended: int


class SessionResponse(BaseModel):
    """A session. ``user_agent`` and ``address`` are those of the login."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str
    address: str
    current: bool = Field(description="Whether the caller uses it.")


class KeyForm(Form):
    """A new API key. It is valid for ``expires_in_days``, or as long as the service lets a key last."""

    name: ShortText
    scopes: Annotated[list[Scope], Field(max_length=MAX_SCOPES)] = Field(default_factory=list[str])
    expires_in_days: Annotated[int, Field(ge=1, le=365)] | None = None


class KeyResponse(BaseModel):
    """An API key, without the key itself."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="Right to the minute.")


class CreatedKeyResponse(BaseModel):
    """A new API key. ``key`` is shown this once."""

    id: int
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    key: str = Field(repr=False)


class RevokedResponse(BaseModel):
    """The number of keys that were revoked."""

    revoked: int


class IntrospectionForm(Form):
    """The text that a caller sent as an API key."""

    key: PresentedToken = Field(repr=False)


class IntrospectionResponse(BaseModel):
    """The owner and scopes of a key (after RFC 7662, section 2.2); for an invalid key, ``active`` alone."""

    active: bool
    id: int | None = None
    owner: int | None = None
    scopes: list[str] | None = None
    expires_at: datetime | None = None


class UserForm(Form):
    """A new user. ``account_routes`` says which user types there may be."""

    username: Username
    password: NewPassword
    user_type: str
    email: Email | None = None
    full_name: ShortText | None = None


class UserChanges(Form):
    """Changes to a user: what is left out stays as it is; null clears ``email`` and ``full_name``.

    ``account_routes`` says which user types there may be.
    """

    username: Username = ABSENT
    email: Email | None = None
    full_name: ShortText | None = None
    user_type: str = ABSENT


class PasswordChange(Form):
    """A new password; the owner of the account also gives the current one."""

    current_password: PresentedPassword | None = None
    new_password: NewPassword
    revoke_keys: StrictBool | None = Field(
        default=None, description="Whether API keys end too; left out: yes if an admin sets another user's password."
    )


class UserResponse(BaseModel):
    """A user."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    email: str | None
    full_name: str | None
    user_type: str
    created_by: int
    created_at: datetime
    locked_at: datetime | None
