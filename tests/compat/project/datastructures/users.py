"""Users."""

from pydantic import BaseModel


class UsernamePasswordForm(BaseModel):
    """A login."""

    username: str
    password: str


class UserForm(UsernamePasswordForm):
    """A new user."""

    user_type: str
    email: str | None = None
    full_name: str | None = None


class UserUpdateForm(BaseModel):
    """Changes to a user."""

    username: str | None = None
    email: str | None = None
    full_name: str | None = None
    user_type: str | None = None


class LoginResponse(BaseModel):
    """A token."""

    access_token: str
    token_type: str


class UserResponse(BaseModel):
    """A user; the hash of the password is left out, although the service sends it."""

    id: int
    username: str
    email: str | None = None
    full_name: str | None = None
    user_type: str
    created_by: int
