"""What the users service takes and gives. No answer has a field for a password or its hash."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from limen_kit.fields import Form, ShortText
from shop_users.accounts import UserType


def _visible(text: str) -> str:
    # Zero-width and direction marks make two names that look the same; a pattern would have to list them all.
    if not text.isprintable():
        raise ValueError("every character has to be visible")
    return text


Username = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50, pattern=r"^[^\s\x00-\x1f\x7f-\x9f]+$"),
    AfterValidator(_visible),
]
"""1 to 50 visible characters."""

# Simple on purpose: whether mail arrives there, only sending one would tell.
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"),
]

NewPassword = Annotated[str, StringConstraints(min_length=8, max_length=128, pattern=r"^[^\x00]*$")]
GivenPassword = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]


class Credentials(Form):
    """A login."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=r"^[^\x00]*$")]
    password: GivenPassword


class LoginResponse(BaseModel):
    """Whose credentials they were; the gateway makes a token of it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    user_type: UserType


class UserForm(Form):
    """A new user."""

    username: Username
    password: NewPassword
    user_type: UserType
    email: Email | None = None
    full_name: ShortText | None = None


class UserChanges(Form):
    """Changes to a user: what is left out stays as it is; null clears ``email`` and ``full_name``."""

    username: Username = Field(default_factory=str)
    email: Email | None = None
    full_name: ShortText | None = None
    user_type: UserType = Field(default_factory=lambda: "default")


class PasswordChange(Form):
    """A new password; the owner of the account also gives the current one."""

    current_password: GivenPassword | None = None
    new_password: NewPassword


class UserResponse(BaseModel):
    """A user."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    email: str | None
    full_name: str | None
    user_type: UserType
    created_by: int
    created_at: datetime
