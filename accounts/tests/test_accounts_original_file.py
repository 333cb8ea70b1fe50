"""The users file of the teaching project: opened as it is, in each of its forms, and never misread."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pwdlib.hashers.bcrypt import BcryptHasher

from limen_accounts.json_store import JsonStore
from limen_accounts.testing.service import make_service, settings_for
from limen_kit.testing import running

HASH = BcryptHasher(rounds=4).hash("old password")
ADA: dict[str, Any] = {
    "id": 1,
    "username": "ada",
    "email": "ada@example.com",
    "full_name": "Ada L",
    "user_type": "boss",
    "hashed_password": HASH,
    "created_by": 1,
}
BOB: dict[str, Any] = {"id": 7, "username": "bob", "user_type": "default", "hashed_password": HASH, "created_by": 1}
ADMIN = {"request-user-id": "1", "request-user-role": "admin"}
CHANGED = datetime(2021, 5, 1, tzinfo=UTC)

FORMS: dict[str, object] = {
    "list": [BOB, ADA],
    "users": {"users": [ADA, BOB]},
    "by id": {"1": {name: value for name, value in ADA.items() if name != "id"}, "7": BOB},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.json"


def write(path: Path, content: object) -> str:
    text = json.dumps(content)
    path.write_text(text)
    os.utime(path, (CHANGED.timestamp(), CHANGED.timestamp()))
    return text


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_is_read_and_left_as_it_is(path: Path, form: str) -> None:
    text = write(path, FORMS[form])
    users, total = await JsonStore(path).list_accounts(q=None, limit=10, offset=0)
    assert ([user.id for user in users], total) == ([1, 7], 2)
    ada, bob = users
    assert (ada.username, ada.email, ada.full_name, ada.user_type) == ("ada", "ada@example.com", "Ada L", "boss")
    assert (bob.email, bob.full_name, bob.created_by, bob.created_at) == (None, None, 1, CHANGED)
    assert path.read_text() == text


@pytest.mark.parametrize("form", FORMS)
async def test_a_login_upgrades_the_hash_and_the_first_write_brings_the_file_into_our_form(
    path: Path, form: str
) -> None:
    write(path, FORMS[form])
    async with running(make_service(settings_for(f"json:{path}"))) as client:
        credentials = {"username": "ada", "password": "old password"}
        logged_in = await client.post("/api/login", json=credentials)
        assert (logged_in.status_code, logged_in.json()["user_type"]) == (201, "boss")
        document = json.loads(path.read_text())
        assert (document["next_id"], [user["id"] for user in document["users"]]) == (8, [1, 7])
        assert document["users"][0]["hashed_password"].startswith("$argon2id$")
        assert document["users"][1]["hashed_password"] == HASH
        assert datetime.fromisoformat(document["users"][1]["created_at"]) == CHANGED
        assert (await client.post("/api/login", json=credentials)).status_code == 201
        kept = await client.put("/api/users/1", json={"full_name": None}, headers=ADMIN)
        assert (kept.status_code, kept.json()["user_type"]) == (200, "boss")
        refused = await client.put("/api/users/7", json={"user_type": "boss"}, headers=ADMIN)
        assert refused.status_code == 422


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        ({"users": [{**ADA, "id": 0}]}, "0.id", "greater than or equal to 1"),
        ([ADA, {**BOB, "username": None}], "1.username", "valid string"),
        ([ADA, {"id": 2, "username": "x", "user_type": "y"}], "1.hashed_password", "required"),
        ([ADA, {**BOB, "id": 1}], "1.id", "another user has the same id"),
        ([ADA, {**BOB, "username": "ADA"}], "1.username", "another user has the same username"),
        ([ADA, {**BOB, "email": "Ada@example.com"}], "1.email", "another user has the same email"),
        ([ADA, {**BOB, "s3cret": HASH}], "1", "not known here, which the next write would lose"),
        ([HASH], "0", "dictionary"),
        ({"1": {**BOB}}, "1.id", "not the id under which the user stands"),
        ({"users": [ADA], "s3cret": 1}, "the whole", "not known here, which the next write would lose"),
        ({"next_id": 9, "users": [ADA]}, "users.0.created_at", "required"),
        ("s3cret", "the whole", ""),
        (None, "the whole", ""),
    ],
)
async def test_what_is_no_users_file_is_refused_with_its_place_and_without_its_content(
    path: Path, content: object, place: str, problem: str
) -> None:
    text = write(path, content)
    store = JsonStore(path)
    for use in (store.ready, lambda: store.update_account(1, {"full_name": "x"})):
        with pytest.raises(ValueError, match=r"users\.json is not a users file: ") as refused:
            await use()
        message = str(refused.value)
        assert message.partition(" is not a users file: ")[2].startswith(f"{place}: ")
        assert problem in message
        assert HASH not in message
        assert "s3cret" not in message
    assert path.read_text() == text
