"""The options of ``Accounts``: which routes there are and where, which user types, whose stores."""

from pathlib import Path
from typing import Any

import pytest

from limen_accounts import Accounts, FirstAccount, Stores
from limen_accounts.failure_counters import ThrottleLimits
from limen_accounts.stores import open_stores
from limen_accounts.testing.service import FIRST_ACCOUNTS, make_service, settings_for
from limen_kit.app import create_service
from limen_kit.testing import running

ADMIN = {"request-user-id": "1", "request-user-role": "admin"}
FORM = {"username": "ada", "password": "correct horse", "user_type": "editor"}
HEALTH = {"/healthz", "/readyz"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"json:{tmp_path}/users.json"


def paths(**options: Any) -> set[str]:
    return set(make_service(settings_for("json:users.json"), **options).openapi()["paths"]) - HEALTH


def test_routes_that_are_not_wanted_are_not_there() -> None:
    sessions = {"/login", "/refresh", "/logout", "/logout-all", "/sessions", "/sessions/{session_id}"}
    users = {"/users", "/users/me", "/users/{user_id}", "/users/{user_id}/password", "/users/{user_id}/lock"}
    keys = {"/keys", "/keys/{key_id}", "/keys/introspect"}
    assert paths(prefix="") == sessions | users | keys | {"/users/{user_id}/keys", "/users/{user_id}/keys/{key_id}"}
    assert paths(prefix="", manage=False) == sessions | keys
    assert paths(prefix="", api_keys=False) == sessions | users
    assert paths(prefix="/v1/x", manage=False, api_keys=False) == {f"/v1/x{path}" for path in sessions}


async def test_everything_is_below_the_prefix_also_what_refuses_a_flood_of_logins(url: str) -> None:
    limits = ThrottleLimits(account_failures=0)
    app = make_service(
        settings_for(url),
        prefix="/v1",
        first_accounts=FIRST_ACCOUNTS,
        throttle_limits=limits,
        user_types=("admin", "editor"),
    )
    async with running(app) as client:
        created = await client.post("/v1/users", json=FORM, headers=ADMIN)
        assert (created.status_code, created.headers["location"]) == (201, "/v1/users/4")
        assert (await client.get("/v1/users/4", headers=ADMIN)).json() == created.json()
        wrong = {"username": "ada", "password": "wrong"}
        assert (await client.post("/v1/login", json=wrong)).status_code == 401
        assert (await client.post("/v1/login", json=wrong)).status_code == 429
        assert (await client.post("/api/login", json=wrong)).status_code == 404


async def test_only_the_user_types_of_this_service_can_be_given(url: str) -> None:
    app = make_service(settings_for(url), user_types=("admin", "editor"), first_accounts=FIRST_ACCOUNTS)
    async with running(app) as client:
        refused = await client.post("/api/users", json={**FORM, "user_type": "default"}, headers=ADMIN)
        assert refused.status_code == 422
        (error,) = refused.json()["errors"]
        assert (error["loc"], "one of admin, editor" in error["msg"]) == (["body", "user_type"], True)
        assert (await client.put("/api/users/2", json={"user_type": "editor"}, headers=ADMIN)).status_code == 200
        assert (await client.put("/api/users/2", json={"user_type": None}, headers=ADMIN)).status_code == 422
    schemas = app.openapi()["components"]["schemas"]
    assert schemas["UserForm"]["properties"]["user_type"]["enum"] == ["admin", "editor"]
    assert schemas["UserChanges"]["properties"]["user_type"]["enum"] == ["admin", "editor"]


async def test_a_service_may_bring_its_own_stores(url: str, tmp_path: Path) -> None:
    own = open_stores(f"json:{tmp_path}/own.json")
    accounts = Accounts(settings_for("sqlite://unused.sqlite3"), stores=own)
    assert (accounts.tortoise_orm, accounts.stores) == (None, own)
    app = make_service(settings_for(url), stores=own, first_accounts=(FirstAccount("root", "secret", "admin"),))
    async with running(app) as client:
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.post("/api/login", json={"username": "root", "password": "secret"})).status_code == 201
    assert not (tmp_path / "users.json").exists()


def test_the_outbox_is_there_when_events_are_stored(url: str) -> None:
    assert Accounts(settings_for(url), events=True).outbox
    with pytest.raises(ValueError, match="events=True"):
        _ = Accounts(settings_for(url)).outbox
    without = open_stores(url)
    with pytest.raises(ValueError, match="these stores keep no events"):
        Accounts(settings_for(url), events=True, stores=Stores(without.accounts, without.sessions, without.api_keys))


@pytest.mark.parametrize(
    "options",
    [
        {"prefix": "api"},
        {"prefix": "/api/"},
        {"prefix": "/"},
        {"user_types": ()},
        {"user_types": ("default",)},
        {"user_types": ("admin", "")},
        {"user_types": ("admin", "x" * 21)},
        {"user_types": ("admin", "two,roles")},
        {"user_types": ("admin", "two roles")},
        {"user_types": ("admin", "rôle")},
    ],
)
def test_options_that_can_never_work_are_refused(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^Accounts\(\w+="):
        Accounts(settings_for(url), **options)


def test_a_password_never_shows(url: str) -> None:
    assert "s3cret" not in repr(FirstAccount("root", "s3cret", "admin"))


async def test_what_delivers_events_is_told_of_a_deletion_at_once(url: str) -> None:
    accounts = Accounts(settings_for(url), first_accounts=FIRST_ACCOUNTS, protected_ids=(1,), events=True)
    told: list[None] = []
    accounts.on_event = lambda: told.append(None)
    settings = settings_for(url)
    app = create_service("Users", name="users", settings=settings, tortoise_orm=None, parts=[accounts])
    async with running(app) as client:
        assert (await client.delete("/api/users/1", headers=ADMIN)).status_code == 403
        assert (await client.delete("/api/users/9", headers=ADMIN)).status_code == 404
        assert not told
        assert (await client.delete("/api/users/2", headers=ADMIN)).status_code == 204
    assert len(told) == 1
    assert len(await accounts.outbox.pending_events(10)) == 1
