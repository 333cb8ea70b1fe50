"""The users file of a teaching project that begins with this library: it has users and nothing else, without dates, and
without the ids that come next. The first write brings it into our form; each hash is upgraded at a login, as any old hash is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import ConfigDict, Field, TypeAdapter, with_config

from limen_accounts.accounts import Account, email_key, former_username_key
from limen_accounts.json_store.document import Document
from limen_kit.fields import MAX_ROW_ID

# Who has created users of whom the file does not say it: the first one.
_FIRST_ID = 1


class Misread(Exception):
    """``problem`` is wrong at ``place`` in the file."""

    def __init__(self, place: tuple[int | str, ...], problem: str) -> None:
        """Keep both."""
        super().__init__(problem)
        self.place = place
        self.problem = problem


# An unknown field is refused: the first write would lose it.
@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalUser:
    """A user as the file has it. ``user_type`` may be any text, and ``hashed_password`` is bcrypt's."""

    id: Annotated[int, Field(ge=1, le=MAX_ROW_ID)]
    username: Annotated[str, Field(min_length=1)]
    hashed_password: str
    user_type: str
    email: str | None = None
    full_name: str | None = None
    created_by: int | None = None


_USER: TypeAdapter[list[OriginalUser]] = TypeAdapter(list[OriginalUser])


def users_of(found: object) -> Sequence[object] | None:
    """Return the users in the JSON value ``found``, or None if it has not this form; raises Misread."""
    if isinstance(found, list):
        return cast("list[object]", found)
    if not isinstance(found, dict):
        return None
    members = cast("dict[str, object]", found)
    if set(members) == {"users"} and isinstance(members["users"], list):
        return cast("list[object]", members["users"])
    if all(key.isascii() and key.isdecimal() and isinstance(user, dict) for key, user in members.items()):
        return [_with_id(key, cast("dict[str, Any]", user)) for key, user in members.items()]
    return None


def document_of(users: Sequence[object], modified_at: datetime) -> Document:
    """Return the document of ``users``; raises ValidationError and Misread."""
    found = _USER.validate_python(users)
    for name, keys in (
        ("id", [str(user.id) for user in found]),
        ("username", [former_username_key(user.username) for user in found]),
        ("email", [email_key(user.email) for user in found]),
    ):
        _check_unique(name, keys)
    accounts = [
        Account(
            id=user.id,
            username=user.username,
            email=user.email,
            full_name=user.full_name,
            user_type=user.user_type,
            hashed_password=user.hashed_password,
            created_by=_FIRST_ID if user.created_by is None else user.created_by,
            created_at=modified_at,
        )
        for user in sorted(found, key=lambda user: user.id)
    ]
    return Document(next_id=max((account.id for account in accounts), default=0) + 1, users=accounts)


def _with_id(key: str, user: Mapping[str, Any]) -> dict[str, Any]:
    if str(user.get("id", key)) != key:
        raise Misread((key, "id"), "it is not the id under which the user stands")
    return {**user, "id": key}


def _check_unique(name: str, keys: Sequence[str | None]) -> None:
    known: set[str] = set()
    for index, key in enumerate(keys):
        if key is None:
            continue
        if key in known:
            raise Misread((index, name), f"another user has the same {name} (the case of letters does not count)")
        known.add(key)
