"""Any content of the JSON file is either read or refused with one sentence, and what is written is read as it was."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limen_accounts.accounts import NewAccount, email_key, username_key
from limen_accounts.json_store import accounts
from limen_accounts.json_store.document import Document
from limen_accounts.json_store.reading import parse, unparse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "s3cret-hash"

# What a users file may hold by mistake: JSON whose names are often those of users.
NAMES = st.sampled_from(["id", "username", "hashed_password", "user_type", "users", "next_id", "1", "2", "other"])
SCALARS = st.none() | st.booleans() | st.integers(-2, 2**33) | st.just(SECRET)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner), max_leaves=12)


@st.composite
def user(draw: st.DrawFn) -> dict[str, Any]:
    """Return a user as another project keeps it; some have an id or a name that others have, or lack a member."""
    found: dict[str, Any] = {
        "id": draw(st.integers(-1, 3)),
        "username": draw(st.sampled_from("aAbß")),
        "hashed_password": SECRET,
    }
    others = (("user_type", "x"), ("email", "a@b"), ("email", "A@b"), ("email", None), ("created_by", 1))
    return found | dict(draw(st.lists(st.sampled_from(others), max_size=4)))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


def read(content: bytes) -> Document | None:
    """Return the document in ``content``; None if it is refused, as one line without a secret."""
    try:
        return parse(content, NOW)
    except ValueError as error:
        message = str(error)
        assert SECRET not in message
        assert message.isprintable()
        assert ": " in message
        assert len(message) < 400
        return None


@given(VALUES)
def test_no_value_is_misread_or_fails_otherwise(value: Any) -> None:
    document = read(json.dumps(value).encode())
    # What is read has lost nothing: no account, and no member of another name.
    if document is not None and not document.users:
        assert value in ([], {}, {"users": []}) or set(value) <= {"users", "next_id"}


@given(st.lists(user(), max_size=3), st.booleans())
def test_the_users_of_another_project_are_all_read_or_none(users: list[dict[str, Any]], wrapped: bool) -> None:
    document = read(json.dumps({"users": users} if wrapped else users).encode())
    ids = {user["id"] for user in users}
    names = {username_key(user["username"]) for user in users}
    emails = [email_key(user["email"]) for user in users if user.get("email")]
    whole = all("user_type" in user and user["id"] > 0 for user in users)
    if whole and len(ids) == len(names) == len(users) and len(set(emails)) == len(emails):
        assert document is not None
        assert [account.id for account in document.users] == sorted(ids)
        assert document.next_id == max(ids, default=0) + 1
    else:
        assert document is None


@given(st.binary(max_size=40))
@example(b"")
@example(b"\xff\xfe")
@example(b"[" * 100_000)
@example(b'{"users": ' * 2_000)
@example(b"NaN")
def test_any_bytes_are_refused_or_read(content: bytes) -> None:
    read(content)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), max_size=4, unique_by=username_key
    )
)
def test_what_is_written_is_read_as_it_was(names: list[str]) -> None:
    document = Document()
    for name in names:
        new = NewAccount(username=name, hashed_password="h", user_type=name, created_by=1)
        document, _ = accounts.create(document, new, NOW)
    assert parse(unparse(document).encode(), NOW) == document
    if document.users:
        with pytest.raises(ValueError, match="next_id"):
            parse(unparse(replace(document, next_id=1)).encode(), NOW)


TIME = "2026-01-01T00:00:00Z"
LOCAL_TIME = "2026-01-01T00:00:00"
USER: dict[str, Any] = {
    "id": 1,
    "username": "ada",
    "hashed_password": SECRET,
    "user_type": "x",
    "created_by": 1,
    "created_at": TIME,
}
SESSION: dict[str, Any] = {
    "id": "s",
    "account_id": 1,
    "user_agent": "",
    "address": "",
    "digest": "a" * 64,
    "digest_before": None,
    "created_at": TIME,
    "last_used_at": TIME,
    "expires_at": TIME,
}
KEY: dict[str, Any] = {
    "id": 1,
    "owner": 1,
    "name": "n",
    "scopes": [],
    "digest": "a" * 64,
    "created_at": TIME,
    "expires_at": None,
    "last_used_at": None,
}
EVENT: dict[str, Any] = {"id": "e", "type": "user.deleted", "data": {"id": 7}, "created_at": TIME}
WHOLE: dict[str, Any] = {
    "next_id": 3,
    "users": [USER],
    "sessions": [SESSION],
    "next_key_id": 2,
    "api_keys": [KEY],
    "events": [EVENT],
}


def test_a_whole_document_is_read() -> None:
    assert read(json.dumps(WHOLE).encode()) is not None


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"users": [USER, USER]}, "users.1.id"),
        ({"users": [USER, USER | {"id": 2, "username": "ADA"}]}, "users.1.username"),
        ({"users": [{**USER, "email": "a@b"}, {**USER, "id": 2, "username": "b", "email": "A@b"}]}, "users.1.email"),
        ({"users": [USER | {"id": 0}]}, "users"),
        ({"users": [USER | {"created_at": LOCAL_TIME}]}, "users.0.created_at"),
        ({"sessions": [SESSION | {"expires_at": LOCAL_TIME}]}, "sessions.0.expires_at"),
        ({"sessions": [SESSION, SESSION | {"digest": "é" * 64}]}, "sessions.1.digest"),
        ({"api_keys": [KEY, KEY]}, "api_keys"),
        ({"api_keys": [KEY | {"digest": "é" * 64}]}, "api_keys.0.digest"),
        ({"api_keys": [KEY | {"last_used_at": LOCAL_TIME}]}, "api_keys.0.last_used_at"),
        ({"events": [EVENT | {"created_at": LOCAL_TIME}]}, "events.0.created_at"),
        ({"next_key_id": 1}, "next_key_id"),
    ],
)
def test_a_mistake_of_whoever_edits_the_file_is_refused_with_its_place(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(ValueError, match=rf"^{place}: "):
        parse(json.dumps(WHOLE | changes).encode(), NOW)
