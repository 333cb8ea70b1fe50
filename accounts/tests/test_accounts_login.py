"""Login over the service's API: its answers, and the number of hashes that each takes."""

import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from hypothesis import example, given
from hypothesis import strategies as st

from limen_accounts import audit
from limen_accounts.accounts import Account, AccountStore, NewAccount
from limen_accounts.login import client_address
from limen_accounts.passwords import DUMMY_HASH, HashingBusy, PasswordHasher
from limen_accounts.testing.service import make_service, settings_for
from limen_accounts.tortoise_stores.config import database_config
from limen_kit.testing import running

JOHN = {"username": "johndoe", "password": "b"}
LOG = "limen_accounts.audit"


class CountingLibrary:
    """Records the verified hashes; the password ``b`` matches all of them except the dummy hash."""

    def __init__(self) -> None:
        self.verified_hashes: list[str] = []
        self.upgraded: str | None = None

    def hash(self, password: str) -> str:
        return f"hash of {password}"

    def verify_and_update(self, password: str, hashed: str, /) -> tuple[bool, str | None]:
        self.verified_hashes.append(hashed)
        matches = password == "b" and hashed != DUMMY_HASH
        return matches, self.upgraded if matches else None


class FakeClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def cheap_hashes() -> None:
    """Override the cheap hashes: nothing is hashed here, only counted."""


@pytest.fixture
def library() -> CountingLibrary:
    return CountingLibrary()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "json"])
async def app(
    request: pytest.FixtureRequest, tmp_path: Path, library: CountingLibrary, clock: FakeClock
) -> AsyncGenerator[FastAPI]:
    url = f"json:{tmp_path}/users.json" if request.param == "json" else f"sqlite://{tmp_path}/users.sqlite3"
    app = make_service(settings_for(url))
    app.state.accounts.now = clock
    async with running(app, database_config(url)) as client:
        app.state.client = client
        app.state.accounts.password_hasher = PasswordHasher(1, library=library)
        accounts: AccountStore = app.state.accounts.stores.accounts
        for name in ("admin", "johndoe"):
            new = NewAccount(username=name, hashed_password=f"of {name}", user_type="default", created_by=1)
            await accounts.create_account(new)
        yield app


@pytest.fixture
def client(app: FastAPI) -> httpx2.AsyncClient:
    http: httpx2.AsyncClient = app.state.client
    return http


async def log_in(
    client: httpx2.AsyncClient, username: str = "johndoe", password: str = "b", address: str = "192.0.2.1"
) -> httpx2.Response:
    body = {"username": username, "password": password}
    return await client.post("/api/login", json=body, headers={"x-forwarded-for": address})


def visible_parts(response: httpx2.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return everything that a client can see, except what differs between any two requests."""
    body: dict[str, Any] = response.json()
    body.pop("request_id")
    headers = dict(response.headers)
    headers.pop("x-request-id")
    return response.status_code, body, headers


async def test_a_login_begins_a_session(client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        response = await log_in(client)
    body = response.json()
    assert response.status_code == 201
    assert set(body) == {
        "id",
        "username",
        "user_type",
        "session_id",
        "refresh_token",
        "refresh_expires_at",
        "device_token",
    }
    assert (body["id"], body["username"], body["user_type"]) == (2, "johndoe", "default")
    assert response.headers["cache-control"] == "no-store"
    assert body["refresh_token"] not in caplog.text
    assert f"session={body['session_id']}" in caplog.text
    assert (await log_in(client)).json()["session_id"] != body["session_id"]


async def test_an_unknown_user_and_a_wrong_password_get_the_same_answer(client: httpx2.AsyncClient) -> None:
    wrong_password, unknown = await log_in(client, "johndoe", "wrong"), await log_in(client, "nobody", "wrong")
    assert visible_parts(wrong_password) == visible_parts(unknown)
    assert wrong_password.status_code == 401
    assert (wrong_password.json()["code"], wrong_password.json()["detail"]) == (
        "credentials_wrong",
        "Username or password is wrong.",
    )
    assert wrong_password.headers["www-authenticate"] == "Bearer"


async def test_an_unknown_user_and_a_wrong_password_cost_the_same_hash(
    client: httpx2.AsyncClient, library: CountingLibrary
) -> None:
    await log_in(client, "johndoe", "wrong")
    await log_in(client, "nobody", "wrong")
    await log_in(client, "nobody", "b")
    first, *rest = library.verified_hashes
    assert first != DUMMY_HASH
    assert rest == [DUMMY_HASH, DUMMY_HASH]


async def test_after_some_failures_even_the_right_password_waits_and_nothing_is_hashed(
    client: httpx2.AsyncClient, library: CountingLibrary, clock: FakeClock
) -> None:
    for username in ("johndoe", "JohnDoe", "JOHNDOE", "johndoe", "johndoe", "johndoe"):
        assert (await log_in(client, username, "wrong")).status_code == 401
    done = len(library.verified_hashes)
    for password in ("wrong", "b"):
        delayed = await log_in(client, password=password)
        assert (delayed.status_code, delayed.json()["code"]) == (429, "too_many_attempts")
        assert delayed.json()["detail"] == "There were too many wrong passwords; try again in 1 s."
        assert delayed.headers["retry-after"] == "1"
    assert (await log_in(client, "admin", "b")).status_code == 201
    assert len(library.verified_hashes) == done + 1
    clock.now += 1
    assert (await log_in(client)).status_code == 201


async def test_unknown_accounts_are_delayed_alike(client: httpx2.AsyncClient) -> None:
    async def until_held(username: str) -> list[tuple[int, dict[str, Any], dict[str, str]]]:
        return [visible_parts(await log_in(client, username, "wrong", address="unknown")) for _ in range(8)]

    assert await until_held("johndoe") == await until_held("nobody")


async def test_an_address_that_tries_many_accounts_is_delayed(client: httpx2.AsyncClient) -> None:
    for number in range(21):
        # One client has all addresses of its /64; trusted proxies follow the client in the list.
        address = f"2001:db8::{number:x}, 192.0.2.{number}"
        assert (await log_in(client, f"user{number}", "wrong", address=address)).status_code == 401
    assert (await log_in(client, "user99", "wrong", address="2001:db8::ffff")).status_code == 429
    assert (await log_in(client, "user99", "wrong", address="2001:db8:0:1::1")).status_code == 401
    assert (await log_in(client, "user99", "wrong", address="192.0.2.1")).status_code == 401


async def test_an_owner_at_a_known_address_is_not_locked_out(client: httpx2.AsyncClient) -> None:
    assert (await log_in(client, address="203.0.113.1")).status_code == 201
    for number in range(6):
        await log_in(client, password="wrong", address=f"198.51.100.{number}")
    assert (await log_in(client, address="198.51.100.1")).status_code == 429
    assert (await log_in(client, address="203.0.113.1")).status_code == 201


async def test_without_a_gateway_the_peer_is_the_client(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, LOG):
        await client.post("/api/login", json=JOHN)
    assert "address=127.0.0.1 " in caplog.text


async def test_a_password_that_is_changed_meanwhile_begins_no_session(
    app: FastAPI, client: httpx2.AsyncClient, library: CountingLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts: AccountStore = app.state.accounts.stores.accounts
    sessions = app.state.accounts.stores.sessions
    begin = sessions.begin_session

    async def changed_first(account_id: int, **arguments: Any) -> object:
        monkeypatch.setattr(sessions, "begin_session", begin)
        account = await accounts.get_account(account_id)
        assert account is not None
        assert await accounts.replace_hash(account_id, account.hashed_password, DUMMY_HASH)
        return await begin(account_id, **arguments)

    monkeypatch.setattr(sessions, "begin_session", changed_first)
    assert (await log_in(client)).status_code == 401
    assert len(library.verified_hashes) == 2


async def test_an_old_hash_is_replaced_and_the_session_is_of_the_new_one(
    app: FastAPI, client: httpx2.AsyncClient, library: CountingLibrary
) -> None:
    library.upgraded = "a better hash"
    assert (await log_in(client)).status_code == 201
    account = await app.state.accounts.stores.accounts.get_account(2)
    assert isinstance(account, Account)
    assert account.hashed_password == "a better hash"


async def test_each_login_is_logged_with_its_reason(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, LOG):
        await log_in(client)
        await log_in(client, "my secret typed into the wrong box", "wrong")
        for _ in range(7):
            await log_in(client, "johndoe", "wrong secret")
    lines = [record.message for record in caplog.records if record.name == LOG]
    name, other = audit.pseudonym("johndoe"), audit.pseudonym("my secret typed into the wrong box")
    refused = "event=login_refused reason="
    assert lines[0].startswith(f"event=login_succeeded account=2 name={name} address=192.0.2.1 session=")
    assert lines[1] == f"{refused}unknown_user name={other} address=192.0.2.1"
    assert lines[2:8] == [f"{refused}wrong_password name={name} address=192.0.2.1 account=2"] * 6
    assert lines[8:] == [f"{refused}too_many name={name} address=192.0.2.1"]
    assert "secret" not in caplog.text


async def test_a_login_that_a_busy_hasher_refuses_is_logged(
    app: FastAPI, client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(PasswordHasher):
        def check_capacity(self) -> None:
            raise HashingBusy

    app.state.accounts.password_hasher = Full()
    # Nothing is looked up.
    no_accounts: Any = None
    app.state.accounts.stores = replace(app.state.accounts.stores, accounts=no_accounts)
    with caplog.at_level(logging.INFO, LOG):
        assert (await log_in(client)).status_code == 503
    name = audit.pseudonym("johndoe")
    assert [one.message for one in caplog.records if one.name == LOG] == [
        f"event=login_refused reason=busy name={name} address=192.0.2.1"
    ]


@given(st.text(max_size=60))
@example("fe80::1%eth0\nevent=login_succeeded")
@example("1.2.3.4 event=login_succeeded")
def test_an_invalid_address_is_unknown(text: str) -> None:
    for field_value in (text, f"{text}, 192.0.2.1"):
        address = client_address(field_value)
        assert address == "unknown" or str(ip_address(address)) == address
    assert client_address(f"192.0.2.1, {text}") == "192.0.2.1"


async def test_the_current_password_is_no_easier_to_guess_than_at_login(
    client: httpx2.AsyncClient, clock: FakeClock
) -> None:
    john = {"request-user-id": "2", "request-user-role": "default"}

    async def change(current: str) -> httpx2.Response:
        body = {"current_password": current, "new_password": "long enough"}
        return await client.put("/api/users/2/password", json=body, headers=john)

    for number in range(6):
        response = await change(f"guess {number}")
        assert (response.status_code, response.json()["code"]) == (403, "password_wrong")
    delayed = await change("b")
    assert (delayed.status_code, delayed.json()["code"], delayed.headers["retry-after"]) == (
        429,
        "too_many_attempts",
        "1",
    )
    clock.now += 1
    assert (await change("b")).status_code == 204


async def test_a_locked_account_answers_to_every_password_like_an_unknown_one(
    app: FastAPI, client: httpx2.AsyncClient, library: CountingLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    await app.state.accounts.stores.accounts.lock_account(2)
    library.upgraded = "hash of b"
    caplog.set_level("INFO", "limen_accounts.audit")
    right, wrong, unknown = [
        await log_in(client, *who) for who in (("johndoe", "b"), ("johndoe", "x"), ("nobody", "b"))
    ]
    assert right.status_code == 401
    assert visible_parts(right) == visible_parts(wrong) == visible_parts(unknown)
    assert library.verified_hashes == [DUMMY_HASH] * 3
    assert (await app.state.accounts.stores.accounts.get_account(2)).hashed_password == "of johndoe"
    lines = [record.getMessage().split() for record in caplog.records if record.name == LOG]
    assert [line[1] for line in lines] == ["reason=locked"] * 2 + ["reason=unknown_user"]


async def test_guesses_of_a_locked_account_are_throttled_as_ever(app: FastAPI, client: httpx2.AsyncClient) -> None:
    await app.state.accounts.stores.accounts.lock_account(2)
    statuses = [(await log_in(client, "johndoe", "b", f"192.0.2.{number}")).status_code for number in range(7)]
    assert statuses == [401] * 6 + [429]
