"""The users service over its API, on SQLite and on the JSON file; the stores have a suite of their own."""

import asyncio
import json
import re
import unicodedata
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pwdlib.hashers.bcrypt import BcryptHasher
from pydantic import SecretStr, TypeAdapter, ValidationError

from limen_accounts.accounts import AccountStore
from limen_accounts.passwords import PasswordHasher
from limen_accounts.schemas import Username
from limen_accounts.settings import AccountsSettings
from limen_accounts.testing.service import FIRST_ACCOUNTS, make_service, settings_for
from limen_accounts.tortoise_stores.config import database_config
from limen_kit.testing import running
from limen_kit.testing.migrations import missing_migrations

ADMIN = {"request-user-id": "1", "request-user-role": "admin"}
JOHN = {"request-user-id": "2", "request-user-role": "default"}
JSON = {"content-type": "application/json"}
FORM = {"username": "ada", "password": "correct horse", "user_type": "default"}


def address(kind: str, folder: Path) -> str:
    return f"json:{folder}/users.json" if kind == "json" else f"sqlite://{folder}/users.sqlite3"


@pytest.fixture(params=["sqlite", "json"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[httpx2.AsyncClient]:
    url = address(request.param, tmp_path)
    app = make_service(settings_for(url), first_accounts=FIRST_ACCOUNTS, protected_ids=(1, 2))
    async with running(app, database_config(url)) as found:
        found.headers["x-store"] = request.param
        yield found


async def log_in(client: httpx2.AsyncClient, username: str, password: str) -> httpx2.Response:
    return await client.post("/api/login", json={"username": username, "password": password})


async def test_the_demo_accounts_log_in(client: httpx2.AsyncClient) -> None:
    for number, username, password, user_type in (
        (1, "admin", "a", "admin"),
        (2, "johndoe", "b", "default"),
        (3, "test", "test", "default"),
    ):
        response = await log_in(client, username, password)
        assert response.status_code == 201
        found = response.json()
        assert (found["id"], found["username"], found["user_type"]) == (number, username, user_type)
    assert (await log_in(client, "JohnDoe", "b")).status_code == 201


async def test_wrong_credentials(client: httpx2.AsyncClient) -> None:
    for username in ("nobody", "admin"):
        invalid = await log_in(client, username, "b")
        assert (invalid.status_code, invalid.json()["detail"]) == (401, "Username or password is wrong.")
        assert invalid.headers["www-authenticate"] == "Bearer"
    assert (await log_in(client, "admin", "")).status_code == 422
    assert (await log_in(client, "admin", "x" * 129)).status_code == 422


async def test_all_but_login_needs_identity_and_nearly_all_an_admin(client: httpx2.AsyncClient) -> None:
    endpoints: list[tuple[str, str, object]] = [
        ("GET", "", None),
        ("POST", "", FORM),
        ("GET", "/3", None),
        ("PUT", "/2", {}),
        ("PUT", "/3/lock", None),
        ("DELETE", "/3/lock", None),
        ("DELETE", "/3", None),
        ("PUT", "/3/password", {"new_password": "long enough"}),
    ]
    for method, path, body in endpoints:
        nobody = await client.request(method, f"/api/users{path}", json=body)
        assert (nobody.status_code, nobody.json()["code"]) == (401, "identity_missing"), path
        john = await client.request(method, f"/api/users{path}", json=body, headers=JOHN)
        assert (john.status_code, john.json()["detail"]) == (403, "You are not allowed to access this scope."), path


async def test_no_hash_and_no_password_ever_leaves(client: httpx2.AsyncClient) -> None:
    answers = [
        await client.post("/api/users", json=FORM, headers=ADMIN),
        await client.get("/api/users", headers=ADMIN),
        await client.get("/api/users/1", headers=ADMIN),
        await client.put("/api/users/4", json={"full_name": "Ada"}, headers=ADMIN),
        await log_in(client, "ada", "correct horse"),
        await client.post("/api/users", json=FORM | {"password": "correct horse" * 20}, headers=ADMIN),
    ]
    for answer in answers:
        assert "argon2" not in answer.text
        assert "hashed" not in answer.text
        assert "correct horse" not in answer.text


async def test_users_are_created_once(client: httpx2.AsyncClient) -> None:
    created = await client.post("/api/users", json=FORM | {"email": "ada@example.com"}, headers=ADMIN)
    assert created.status_code == 201
    assert created.headers["location"] == "/api/users/4"
    names = {"id", "username", "email", "full_name", "user_type", "created_by", "created_at", "locked_at"}
    assert set(created.json()) == names
    assert (created.json()["created_by"], created.json()["full_name"]) == (1, None)
    repeated = await client.post("/api/users", json=FORM | {"username": "ADA"}, headers=ADMIN)
    assert (repeated.status_code, repeated.json()["detail"]) == (
        409,
        "There is already another user with this username.",
    )
    mail = await client.post("/api/users", json=FORM | {"username": "bob", "email": "ADA@example.com"}, headers=ADMIN)
    assert (mail.status_code, mail.json()["detail"]) == (409, "There is already another user with this email.")
    for name in ("cyd", "dan"):
        assert (await client.post("/api/users", json=FORM | {"username": name}, headers=ADMIN)).status_code == 201


async def test_of_many_creations_at_once_one_wins(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/api/users", json=FORM, headers=ADMIN) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5


@pytest.mark.parametrize(
    "change",
    [
        {"username": ""},
        {"username": "two words"},
        {"username": "a\x00b"},
        {"username": "x" * 51},
        {"username": None},
        {"username": "\ud800"},
        {"username": "ad\u200bmin"},
        {"username": "admin\u202e"},
        {"username": "admin\ufe0f"},
        {"username": "\u3164"},
        {"username": "admin\U000e0061"},
        {"username": "admin\ue000"},
        {"password": "nul \x00 inside"},
        {"password": "\udfff" * 8},
        {"full_name": "\ud83d"},
        {"password": "short"},
        {"password": "x" * 129},
        {"user_type": "root"},
        {"email": "not an address"},
        {"email": "a@b\n"},
        {"email": ""},
        {"email": "x@" + "y" * 260},
        {"full_name": "a\nb"},
        {"is_admin": True},
    ],
)
async def test_bad_users_are_refused(client: httpx2.AsyncClient, change: dict[str, Any]) -> None:
    # Escaped, since a lone surrogate has no other form.
    response = await client.post("/api/users", content=json.dumps(FORM | change), headers=ADMIN | JSON)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


def test_usernames_have_visible_characters_alone() -> None:
    pattern = re.compile(TypeAdapter(Username).json_schema()["pattern"])
    taken = [character for character in map(chr, range(0x110000)) if pattern.fullmatch(character)]
    # Those that have no meaning in this version of Unicode may have one in the next.
    assert {unicodedata.category(character)[0] for character in taken} <= set("LMNPSC")
    assert {unicodedata.category(character) for character in taken if not character.isprintable()} == {"Cn"}
    visible = {character for character in map(chr, range(0x10000)) if character.isprintable()}
    # Blank, or invisible though they count as letters and marks (UnicodeData, Default_Ignorable_Code_Point).
    unseen = set(" \u2800\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\ufffc\ufffd")
    assert visible - set(taken) == unseen | set(map(chr, range(0xFE00, 0xFE10)))


@pytest.mark.parametrize("text", ["\ud800", "a\x00"])
async def test_bad_characters_are_refused_at_login(client: httpx2.AsyncClient, text: str) -> None:
    for change in ({"username": text}, {"password": text}):
        content = json.dumps({"username": "admin", "password": "a"} | change)
        assert (await client.post("/api/login", content=content, headers=JSON)).status_code == 422


async def test_updates_are_partial(client: httpx2.AsyncClient) -> None:
    response = await client.put("/api/users/2", json={"username": "john"}, headers=ADMIN)
    assert response.status_code == 200
    assert (response.json()["username"], response.json()["email"]) == ("john", "johndoe@example.com")
    cleared = await client.put("/api/users/2", json={"email": None, "user_type": "admin"}, headers=ADMIN)
    assert (cleared.json()["email"], cleared.json()["user_type"], cleared.json()["username"]) == (None, "admin", "john")
    missing = await client.put("/api/users/99", json={"username": "x"}, headers=ADMIN)
    assert (missing.status_code, missing.json()["detail"]) == (404, "User not found with this id.")
    clash = await client.put("/api/users/2", json={"username": "ADMIN"}, headers=ADMIN)
    assert (clash.status_code, clash.json()["detail"]) == (409, "There is already another user with this username.")
    assert (await client.put("/api/users/2", json={"username": None}, headers=ADMIN)).status_code == 422
    assert (await client.put("/api/users/2", json={"id": 5}, headers=ADMIN)).status_code == 422


async def test_protected_users_stay(client: httpx2.AsyncClient) -> None:
    for number in (1, 2):
        response = await client.delete(f"/api/users/{number}", headers=ADMIN)
        assert (response.status_code, response.json()["detail"]) == (
            403,
            "You are not allowed to delete protected users.",
        )
    demoted = await client.put("/api/users/1", json={"user_type": "default"}, headers=ADMIN)
    assert (demoted.status_code, demoted.json()["code"]) == (403, "protected")
    assert (await client.put("/api/users/1", json={"user_type": "admin"}, headers=ADMIN)).status_code == 200


async def test_deleted_users_are_gone(client: httpx2.AsyncClient) -> None:
    deleted = await client.delete("/api/users/3", headers=ADMIN)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for response in (
        await client.get("/api/users/3", headers=ADMIN),
        await client.delete("/api/users/3", headers=ADMIN),
    ):
        assert (response.status_code, response.json()["detail"]) == (404, "User not found with this id.")
    assert (await log_in(client, "test", "test")).status_code == 401
    assert (
        await client.put("/api/users/3/password", json={"new_password": "long enough"}, headers=ADMIN)
    ).status_code == 404


async def test_passwords_are_changed_by_their_owner_or_an_admin(client: httpx2.AsyncClient) -> None:
    path = "/api/users/2/password"
    for body in ({"new_password": "long enough"}, {"current_password": "x", "new_password": "long enough"}):
        invalid = await client.put(path, json=body, headers=JOHN)
        assert (invalid.status_code, invalid.json()["detail"]) == (403, "Password is wrong.")
    right = await client.put(path, json={"current_password": "b", "new_password": "long enough"}, headers=JOHN)
    assert (right.status_code, right.content) == (204, b"")
    assert (await log_in(client, "johndoe", "b")).status_code == 401
    assert (await log_in(client, "johndoe", "long enough")).status_code == 201
    assert (await client.put(path, json={"new_password": "another one"}, headers=ADMIN)).status_code == 204
    assert (await log_in(client, "johndoe", "another one")).status_code == 201
    own_account = await client.put("/api/users/1/password", json={"new_password": "another one"}, headers=ADMIN)
    assert own_account.status_code == 403
    assert (await client.put(path, json={"new_password": "short"}, headers=ADMIN)).status_code == 422


async def set_hash(accounts: AccountStore, number: int, hashed: str) -> None:
    account = await accounts.get_account(number)
    assert account is not None
    assert await accounts.replace_hash(number, account.hashed_password, hashed)


async def test_old_bcrypt_hashes_are_verified_and_upgraded(tmp_path: Path) -> None:
    url = address("json", tmp_path)
    app = make_service(settings_for(url), first_accounts=FIRST_ACCOUNTS, protected_ids=(1, 2))
    async with running(app) as client:
        accounts: AccountStore = app.state.accounts.stores.accounts
        await set_hash(accounts, 2, BcryptHasher(rounds=4).hash("old password"))
        assert (await log_in(client, "johndoe", "x" * 100)).status_code == 401
        assert (await log_in(client, "johndoe", "old password")).status_code == 201
        upgraded = await accounts.get_account(2)
        assert upgraded is not None
        assert upgraded.hashed_password.startswith("$argon2id$")
        assert (await log_in(client, "johndoe", "old password")).status_code == 201


@pytest.mark.parametrize("hashed", ["", "b", "$2b$12$short", "$2b$99$" + "a" * 53, "$argon2id$v=19$x", "{SHA}xyz"])
async def test_no_password_matches_an_invalid_hash(hashed: str, caplog: pytest.LogCaptureFixture) -> None:
    assert await PasswordHasher().verify("b", hashed) == (False, None)
    assert "set that account's password anew" in caplog.text
    assert not hashed or hashed == "b" or hashed not in caplog.text


async def test_hashes_differ_and_verify() -> None:
    passwords = PasswordHasher()
    first, second = await asyncio.gather(passwords.hash("x"), passwords.hash("x"))
    assert first != second
    assert await passwords.verify("x", first) == (True, None)
    assert await passwords.verify("y", first) == (False, None)


async def test_lists_come_in_pages_and_can_be_searched(client: httpx2.AsyncClient) -> None:
    response = await client.get("/api/users?limit=1&offset=1", headers=ADMIN)
    assert ([user["username"] for user in response.json()], response.headers["x-total-count"]) == (["johndoe"], "3")
    found = await client.get("/api/users?q=doe", headers=ADMIN)
    assert [user["id"] for user in found.json()] == [2]


async def test_without_demo_there_are_no_known_accounts(tmp_path: Path) -> None:
    url = address("json", tmp_path)
    async with running(make_service(settings_for(url))) as client:
        assert (await log_in(client, "admin", "a")).status_code == 401
    extra: dict[str, Any] = {"admin_username": "root", "admin_password": SecretStr("a long secret")}
    for _ in range(2):
        async with running(make_service(settings_for(url, **extra))) as client:
            assert (await log_in(client, "root", "a long secret")).json()["user_type"] == "admin"
            assert (await client.get("/api/users", headers=ADMIN)).headers["x-total-count"] == "1"


async def test_a_broken_file_stops_the_start_and_readiness(tmp_path: Path) -> None:
    url = address("json", tmp_path)
    async with running(make_service(settings_for(url))) as client:
        (tmp_path / "users.json").write_text("broken")
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503


@pytest.mark.parametrize(
    "invalid",
    [
        {"admin_username": "root"},
        {"admin_password": SecretStr("a long secret")},
        {"admin_username": "root", "admin_password": SecretStr("sh0rt")},
        {"admin_username": "root", "admin_password": SecretStr("l0ng" * 33)},
        {"admin_username": "the root", "admin_password": SecretStr("a long secret")},
        {"admin_username": "x" * 51, "admin_password": SecretStr("a long secret")},
    ],
)
def test_an_admin_who_could_not_log_in_is_refused(invalid: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings_for("json:x", **invalid)


def test_refused_settings_do_not_reveal_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://shop:s3cret@db/users")
    monkeypatch.setenv("ADMIN_PASSWORD", "sh0rt")
    with pytest.raises(ValidationError) as caught:
        AccountsSettings()
    assert caught.value.error_count() == 2
    assert "s3cret" not in str(caught.value)
    assert "sh0rt" not in str(caught.value)


def test_migrations_match_the_models(tmp_path: Path) -> None:
    assert missing_migrations(Path(__file__).parents[1], tmp_path, "limen_accounts.tortoise_stores.config") == ""
