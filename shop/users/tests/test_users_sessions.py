"""Sessions over the API of the users service, on SQLite and on the JSON file; the stores have a suite of their own."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from limen_kit.testing import Signer, running
from shop_users.accounts import NewAccount
from shop_users.app import create_app
from shop_users.database import store
from shop_users.sessions import Begun, Sessions
from shop_users.settings import Settings

ADMIN = {"request-user-id": "1", "request-user-role": "admin"}
JOHN = {"request-user-id": "2", "request-user-role": "default"}
STRANGER = "refresh_" + "a" * 65
INVALID = (401, "refresh_token_invalid", "This refresh token is not valid, or not any more; log in again.")


@dataclass
class Service:
    """The service, and a client of it."""

    app: FastAPI
    client: httpx2.AsyncClient

    async def begin(self, account_id: int = 2) -> Begun:
        """Begin a session without the cost of a login."""
        sessions: Sessions = self.app.state.sessions
        return await sessions.begin(account_id, user_agent="curl/8", address="192.0.2.1")

    async def refresh(self, text: str) -> httpx2.Response:
        return await self.client.post("/api/refresh", json={"refresh_token": text})

    async def post(self, path: str, headers: dict[str, str], **body: Any) -> httpx2.Response:
        return await self.client.post(f"/api/{path}", json=body, headers=headers)


def within(session: Begun, caller: dict[str, str] = JOHN) -> dict[str, str]:
    return caller | {"request-session-id": session.session_id}


def ended_by(got: httpx2.Response) -> list[str]:
    """Return which sessions an answer names as over; one with content says how many there are."""
    found = [name for name in got.headers.get("session-ended", "").split(",") if name]
    if got.status_code == 200:
        assert got.json() == {"ended": len(found)}
    return found


def refusal(got: httpx2.Response) -> tuple[int, str, str]:
    return got.status_code, got.json()["code"], got.json()["detail"]


@pytest.fixture
def service(served: tuple[FastAPI, httpx2.AsyncClient]) -> Service:
    return Service(*served)


async def test_a_login_begins_a_session_that_is_refreshed(service: Service) -> None:
    credentials = {"username": "johndoe", "password": "b"}
    login = await service.client.post("/api/login", json=credentials, headers={"user-agent": "curl/8"})
    assert login.status_code == 201
    first = login.json()
    assert set(first) == {"id", "username", "user_type", "session_id", "refresh_token", "refresh_expires_at"}
    refreshed = await service.refresh(first["refresh_token"])
    assert refreshed.status_code == 200
    assert refreshed.headers["cache-control"] == "no-store"
    second = refreshed.json()
    assert set(second) == set(first)
    assert second | {"refresh_token": "", "refresh_expires_at": ""} == first | {
        "refresh_token": "",
        "refresh_expires_at": "",
    }
    assert second["refresh_token"] != first["refresh_token"]
    sessions = await service.client.get("/api/sessions", headers=JOHN | {"request-session-id": first["session_id"]})
    (listed,) = sessions.json()
    assert (listed["id"], listed["current"], listed["user_agent"]) == (first["session_id"], True, "curl/8")


async def test_whatever_is_wrong_with_a_refresh_token_the_answer_is_one(service: Service) -> None:
    used, ended, deleted = await service.begin(), await service.begin(), await service.begin(3)
    follower = (await service.refresh(used.refresh_token)).json()["refresh_token"]
    assert (await service.client.delete(f"/api/sessions/{ended.session_id}", headers=JOHN)).status_code == 200
    assert ended_by(await service.client.delete("/api/users/3", headers=ADMIN)) == [deleted.session_id]
    texts = ["", "x", STRANGER, "refresh_é", ended.refresh_token, deleted.refresh_token, used.refresh_token, follower]
    for text in texts:
        got = await service.refresh(text)
        assert refusal(got) == INVALID, text
        assert ended_by(got) == ([used.session_id] if text == used.refresh_token else []), text
        assert got.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert not text or text == "x" or text not in got.text
    assert (await service.refresh("x" * 513)).status_code == 422
    assert (await service.client.post("/api/refresh", json={})).status_code == 422


async def test_a_refresh_gives_the_present_user_type(service: Service) -> None:
    session = await service.begin()
    await service.client.put("/api/users/2", json={"user_type": "admin", "username": "john"}, headers=ADMIN)
    got = (await service.refresh(session.refresh_token)).json()
    assert (got["id"], got["username"], got["user_type"]) == (2, "john", "admin")


async def test_one_logs_out_by_refresh_token_without_identity(service: Service) -> None:
    session = await service.begin()
    await service.refresh(session.refresh_token)
    # A used token, too: its holder wants the session to end, and so does everybody else.
    got = await service.post("logout", {}, refresh_token=session.refresh_token)
    assert (got.status_code, ended_by(got)) == (200, [session.session_id])
    for text in (session.refresh_token, STRANGER, ""):
        assert refusal(await service.post("logout", within(session), refresh_token=text)) == INVALID


async def test_one_logs_out_of_the_session_one_uses(service: Service) -> None:
    session, other = await service.begin(), await service.begin()
    for body in ({}, {"refresh_token": None}):
        # The second time, the session is over already, and its access token still better not believed.
        got = await service.post("logout", within(session), **body)
        assert (got.status_code, ended_by(got)) == (200, [session.session_id])
    assert refusal(await service.refresh(session.refresh_token)) == INVALID
    assert (await service.refresh(other.refresh_token)).status_code == 200
    nobody = await service.post("logout", {"request-session-id": other.session_id})
    assert (nobody.status_code, nobody.json()["code"]) == (401, "identity_missing")


@pytest.mark.parametrize(
    "caller",
    [
        JOHN,
        JOHN | {"request-session-id": ""},
        JOHN | {"request-session-id": "not one of ours"},
        {"request-user-id": "somebody@elsewhere", "request-session-id": ""},
    ],
)
async def test_who_has_no_session_of_ours_ends_none(service: Service, caller: dict[str, str]) -> None:
    session = await service.begin()
    got = await service.post("logout", caller)
    assert (got.status_code, ended_by(got)) == (200, [])
    assert (await service.refresh(session.refresh_token)).status_code == 200


@pytest.mark.parametrize("user", ["1", "99999999999999999999", "9999999999", "somebody@elsewhere"])
async def test_nobody_logs_another_out(service: Service, user: str) -> None:
    session = await service.begin()
    await service.post("logout", within(session, {"request-user-id": user}))
    assert (await service.refresh(session.refresh_token)).status_code == 200


async def test_one_logs_out_everywhere(service: Service) -> None:
    sessions = [await service.begin() for _ in range(3)]
    theirs = await service.begin(1)
    got = await service.post("logout-all", within(sessions[0]))
    assert (got.status_code, ended_by(got)) == (200, sorted(session.session_id for session in sessions))
    for session in sessions:
        assert refusal(await service.refresh(session.refresh_token)) == INVALID
    assert (await service.refresh(theirs.refresh_token)).status_code == 200
    again = await service.post("logout-all", within(sessions[0]))
    assert ended_by(again) == [sessions[0].session_id]
    assert ended_by(await service.post("logout-all", JOHN)) == []


async def test_one_sees_and_ends_only_ones_own(service: Service) -> None:
    mine, other, theirs = await service.begin(), await service.begin(), await service.begin(1)
    listed = (await service.client.get("/api/sessions", headers=within(mine))).json()
    assert {session["id"]: session["current"] for session in listed} == {mine.session_id: True, other.session_id: False}
    assert set(listed[0]) == {
        "id",
        "created_at",
        "last_used_at",
        "expires_at",
        "user_agent",
        "address",
        "current",
    }
    for session_id in (theirs.session_id, "a" * 22):
        got = await service.client.delete(f"/api/sessions/{session_id}", headers=JOHN)
        assert (got.status_code, got.json()["detail"]) == (404, "Session not found with this id.")
    assert (await service.client.delete("/api/sessions/x", headers=JOHN)).status_code == 422
    got = await service.client.delete(f"/api/sessions/{other.session_id}", headers=within(mine))
    assert (got.status_code, ended_by(got)) == (200, [other.session_id])
    assert refusal(await service.refresh(other.refresh_token)) == INVALID
    assert (await service.refresh(theirs.refresh_token)).status_code == 200
    for method, path in (("GET", "sessions"), ("DELETE", f"sessions/{mine.session_id}"), ("POST", "logout-all")):
        nobody = await service.client.request(method, f"/api/{path}")
        assert (nobody.status_code, nobody.json()["code"]) == (401, "identity_missing")


async def test_another_password_ends_all_sessions(service: Service) -> None:
    sessions = [await service.begin() for _ in range(2)]
    body = {"current_password": "b", "new_password": "long enough"}
    wrong = await service.client.put("/api/users/2/password", json=body | {"current_password": "x"}, headers=JOHN)
    assert wrong.status_code == 403
    assert len((await service.client.get("/api/sessions", headers=JOHN)).json()) == 2
    got = await service.client.put("/api/users/2/password", json=body, headers=within(sessions[0]))
    assert (got.status_code, sorted(ended_by(got))) == (204, sorted(session.session_id for session in sessions))
    for session in sessions:
        assert refusal(await service.refresh(session.refresh_token)) == INVALID


async def test_identity_may_have_to_be_signed(tmp_path: Path) -> None:
    signer = Signer("users")
    url = f"json:{tmp_path}/users.json"
    app = create_app(Settings(database_url=url, identity_keys=signer.keys))
    async with running(app) as client:
        service = Service(app, client)
        await store(url).create(NewAccount(username="ada", hashed_password="h", user_type="default", created_by=1))
        session = await service.begin(1)
        forged = await service.post("logout", within(session, ADMIN))
        assert forged.status_code == 401
        signed = signer.identity_headers(1, session_id=session.session_id)
        assert [one["current"] for one in (await client.get("/api/sessions", headers=signed)).json()] == [True]
        assert ended_by(await service.post("logout", signed)) == [session.session_id]
        other = await service.begin(1)
        assert (await service.post("logout", {}, refresh_token=other.refresh_token)).status_code == 200


async def test_what_happens_is_told_to_the_audit_log_without_tokens(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one, two, three = [await service.begin() for _ in range(3)]
    follower = (await service.refresh(one.refresh_token)).json()["refresh_token"]
    await service.refresh(one.refresh_token)
    await service.refresh(STRANGER)
    await service.post("logout", within(two))
    await service.client.delete(f"/api/sessions/{three.session_id}", headers=JOHN)
    await service.post("logout-all", JOHN)
    body = {"current_password": "b", "new_password": "long enough"}
    await service.client.put("/api/users/2/password", json=body, headers=JOHN)
    await service.client.delete("/api/users/3", headers=ADMIN)
    told = [record.getMessage() for record in caplog.records if record.name == "shop_users.audit"]
    assert told == [
        f"event=refresh account=2 session={one.session_id}",
        f"event=reuse account=2 session={one.session_id}",
        f"event=logout account=2 session={two.session_id}",
        f"event=session_ended account=2 session={three.session_id}",
        "event=logout_all account=2 sessions=0",
        "event=password_changed account=2 by=2 sessions=0",
        "event=user_deleted account=3 by=1 sessions=0",
    ]
    for text in (one.refresh_token, two.refresh_token, three.refresh_token, follower, STRANGER):
        assert text not in caplog.text
        assert text[30:] not in caplog.text


def test_rules_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Settings().rules.refresh.days, Settings().rules.longest.days, Settings().rules.grace.seconds) == (30, 90, 0)
    for name, value in (("REFRESH_TOKEN_DAYS", "7"), ("SESSION_MAX_DAYS", "8"), ("REFRESH_GRACE", "9")):
        monkeypatch.setenv(name, value)
    assert (Settings().rules.refresh.days, Settings().rules.longest.days, Settings().rules.grace.seconds) == (7, 8, 9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"refresh_token_days": 0},
        {"refresh_token_days": 366},
        {"session_max_days": 29},
        {"session_max_days": 0},
        {"refresh_grace": -1},
        {"refresh_grace": 61},
    ],
)
def test_rules_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)
